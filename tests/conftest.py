"""What tests of several files ask for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from driver import build
from gpuyard import __main__

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def gpuyard(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line, as the shell calls it: exit code, stdout, stderr."""

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gpuyard", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            __main__.main()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the emulated driver."""
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture(scope="session")
def old_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one that lacks the newer functions."""
    return build(tmp_path_factory.mktemp("old-nvml"), "-DOLD_DRIVER")


@pytest.fixture
def knobs(tmp_path: Path) -> Path:
    """The folder of the files that it reads."""
    folder = tmp_path / "knobs"
    folder.mkdir()
    return folder
