"""What tests of several commands ask for."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

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
