"""The most memory that a process has held: its own, not its parent's."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gpuyard.experiments import footprint
from gpuyard.experiments.footprint import STATUS, peak

LARGE = 2**28


def peak_after(work: str) -> int:
    """What a process of its own tells that has done some work."""
    code = f"from gpuyard.experiments.footprint import peak; {work}; print(peak())"
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells it of a process itself")
def test_a_child_does_not_begin_with_what_its_parent_held() -> None:
    held = b"x" * LARGE
    assert peak() > len(held)
    assert peak_after("pass") < LARGE


def test_what_was_let_go_again_counts() -> None:
    assert peak_after(f"held = b'x' * {LARGE}; del held") > LARGE


@pytest.mark.parametrize("status", [None, "Name:\tpython\nVmRSS:\t5 kB\n"])
@pytest.mark.parametrize(("platform", "unit"), [("linux", 1024), ("darwin", 1)])
def test_a_system_that_does_not_tell_it_is_asked_in_its_own_unit(
    status: str | None, platform: str, unit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "status"
    if status is not None:
        path.write_text(status)
    monkeypatch.setattr(footprint, "STATUS", path)
    monkeypatch.setattr(sys, "platform", platform)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    assert before <= peak() <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
