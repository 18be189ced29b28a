"""The rows of finished windows, in a CSV file that grows by a line at a time and from which a comparison goes on."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_type_hints

from ..traces.trouble import BadInput
from .contest import Outcome

KEYS = ("contest", "identity", "estimates", "seed")
HEADER = (*KEYS, *(f.name for f in fields(Outcome)))
_TYPES = get_type_hints(Outcome)


class Results:
    """What is known of a contest.

    Args:
        path: the CSV file; it need not exist.
        contest: the contest's digest.
        identities: policy's name -> digest of what it is.
        labels: estimates and seed, the same in every row.
        fresh: begin anew whatever the file holds.

    Raises:
        BadInput: when the file holds rows of another contest, or cannot be read or written.
    """

    def __init__(
        self, path: Path, contest: str, identities: Mapping[str, str], labels: Mapping[str, str], fresh: bool = False
    ) -> None:
        self.path, self.contest, self.identities, self.labels = path, contest, dict(identities), dict(labels)
        rows = [] if fresh or not path.exists() else _rows(path)
        if any(row["contest"] != contest for row in rows):
            raise BadInput(
                f"{path}: holds another comparison (other trace, windows, cluster, estimates, or another gpuyard); "
                "choose another --out, or add --fresh to begin anew"
            )
        kept = [row for row in rows if row["identity"] == self.identities.get(row["policy"], row["identity"])]
        self.identities = {row["policy"]: row["identity"] for row in kept} | self.identities
        self.known = {(one.policy, one.load, one.window): one for one in map(_outcome, kept)}
        self.write()

    def add(self, outcome: Outcome) -> None:
        """Keeps an outcome and appends its line."""
        self.known[outcome.policy, outcome.load, outcome.window] = outcome
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(_text([self._row(outcome)]))

    def write(self) -> None:
        """Writes the file anew, in order of policy, load and window; it appears whole or not at all."""
        rows = [self._row(self.known[key]) for key in sorted(self.known)]
        replace(self.path, _text([dict(zip(HEADER, HEADER, strict=True)), *rows]))

    def _row(self, outcome: Outcome) -> dict[str, Any]:
        return {"contest": self.contest, "identity": self.identities[outcome.policy], **self.labels, **asdict(outcome)}


def replace(path: Path, text: str) -> None:
    """Writes a file that appears whole or not at all. Raises BadInput if it cannot be written."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", newline="")
        part.replace(path)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror}); choose another --out") from None


def _text(rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, HEADER, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _rows(path: Path) -> list[dict[str, str]]:
    """The whole lines; one that an end in mid-word has left torn counts as never written."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read ({error}); choose another --out") from None
    head, *lines = list(csv.reader(text[: text.rfind("\n") + 1].splitlines())) or [[]]
    if tuple(head) != HEADER or any(len(line) != len(HEADER) for line in lines):
        raise BadInput(f"{path}: is not a comparison's results of this gpuyard; choose another --out, or add --fresh")
    return [dict(zip(HEADER, line, strict=True)) for line in lines]


def _outcome(row: Mapping[str, str]) -> Outcome:
    try:
        return Outcome(**{name: _value(row[name], hint) for name, hint in _TYPES.items()})
    except ValueError as error:
        raise BadInput(f"results.csv: a row is garbled ({error}); choose another --out, or add --fresh") from None


def _value(text: str, hint: Any) -> Any:
    return text if hint is str else int(text) if hint is int else float(text) if text else None
