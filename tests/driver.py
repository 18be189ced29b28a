"""An emulated NVIDIA driver: libnvidia-ml.so.1 (tests/nvml), compiled here, and told by files what to say.

Its folder is the fixture `library`, that of the files is `knobs`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parent / "nvml" / "emulated_nvml.c"
LOOK = """
import json
from dataclasses import asdict
from gpuyard.executor.nvml import Nvml, NoDriver, probe, readings
def show(found): return [asdict(r) for r in found]
def ids(found): return [a.id for a in found[0].accelerators]
"""
UUIDS = [f"GPU-e{index:07d}-0000-4000-8000-000000000000" for index in range(4)]


def build(folder: Path, *flags: str) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("the emulated NVML is C, and there is no C compiler (cc) here")
    library = folder / "libnvidia-ml.so.1"
    shared = ["-shared", "-fPIC", "-fvisibility=hidden", "-Wl,-soname,libnvidia-ml.so.1"]
    subprocess.run([compiler, "-std=gnu11", "-Wall", "-Werror", *shared, *flags, "-o", library, SOURCE], check=True)
    return folder


def python(code: str, library: Path, knobs: Path) -> Any:
    """What `code` prints, as JSON, in a process of its own: the binding keeps its library for the process's life."""
    environment = os.environ | {"LD_LIBRARY_PATH": str(library), "EMULATED_NVML": str(knobs)}
    command = [sys.executable, "-c", LOOK + code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def turn(knobs: Path, **values: object) -> None:
    """Turns the knobs of the emulated NVML: gpu1__celsius=50 writes 50 into gpu1/celsius."""
    for name, value in values.items():
        knob = knobs / name.replace("__", "/")
        knob.parent.mkdir(parents=True, exist_ok=True)
        knob.write_text(f"{value}\n")
