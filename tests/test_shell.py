"""How commands end, those of modules that are run by themselves among them."""

from __future__ import annotations

from collections.abc import Callable

import click
import pytest

from gpuyard.experiments.shell import ended
from gpuyard.traces.trouble import BadInput


def command(of: Callable[[], int | None]) -> click.Command:
    return click.Command("try", callback=of)


def bad() -> None:
    raise BadInput("jobs.csv, line 3: no such gang;\ngive 1 or more")


@pytest.mark.parametrize(("of", "code"), [(lambda: 1, 1), (lambda: 0, 0), (lambda: None, 0), (bad, 2)])
def test_the_exit_code_is_what_the_command_gives_back_and_2_for_bad_input(
    of: Callable[[], int | None], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["try"])
    with pytest.raises(SystemExit) as left:
        ended(command(of))
    assert left.value.code == code
    said = "gpuyard: jobs.csv, line 3: no such gang; give 1 or more\n"
    assert capsys.readouterr().err == (said if code == 2 else "")
