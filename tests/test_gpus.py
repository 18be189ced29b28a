"""`gpuyard gpus`: emulated GPUs and those that NVML shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from driver import python, turn
from gpuyard.executor.emulated import emulated, gpus
from gpuyard.experiments.gpus import command
from gpuyard.traces.trouble import BadInput

GIB = 2**30


def test_emulated_gpus_say_so() -> None:
    (node,) = gpus("emulated:4xA100")
    assert [a.id for a in node.accelerators] == [f"EMULATED-A100-{index}" for index in range(4)]
    assert {(a.kind, a.memory, a.emulated) for a in node.accelerators} == {("A100", 40 * GIB, True)}
    assert emulated("1xMYGPU")[0].accelerators[0].memory is None


@pytest.mark.parametrize(
    "spec", ["emulated:", "emulated:4", "emulated:0xA100", "emulated:2x8xA100", "emulated:99999xT4"]
)
def test_emulated_specs_with_a_slip(spec: str) -> None:
    with pytest.raises(BadInput, match="write how many"):
        gpus(spec)


def test_gpus_of_no_known_kind() -> None:
    with pytest.raises(BadInput, match="Did you mean 'auto'"):
        gpus("aut")


def test_the_command_shows_emulated_gpus() -> None:
    shown = CliRunner().invoke(command, ["--gpus", "emulated:2xT4"]).output
    assert shown.startswith("Emulated GPUs: no hardware stands behind them")
    assert "EMULATED-T4-1" in shown
    assert "16.0 GiB" in shown
    told = json.loads(CliRunner().invoke(command, ["--gpus", "emulated:2xT4", "--json"]).output)
    assert [(r["uuid"], r["memory_total"], r["watts"]) for r in told] == [
        ("EMULATED-T4-0", 16 * GIB, None),
        ("EMULATED-T4-1", 16 * GIB, None),
    ]


def test_the_command_shows_what_nvml_shows(library: Path, knobs: Path) -> None:
    turn(knobs, gpu0__unsupported="power", gpu1__lost="handle", gpu2__mig__0="1 1 4864", gpu3__milliwatts=123000)
    code = """
from click.testing import CliRunner
from gpuyard.experiments.gpus import command
print(json.dumps(CliRunner().invoke(command).output))
"""
    shown = python(code, library, knobs)
    for words in ("no hardware", "A100-MIG-1g.5gb", "lost: fell off", "123/400 W", "ok, emulated", "in MIG mode"):
        assert words in shown, shown
