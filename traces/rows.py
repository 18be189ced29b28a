"""Rows of text files, plain or gzipped, that know where they stand: every complaint names file, line and column."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .trouble import BadInput

LONGEST = 2**20
"""Characters of one line at most."""

LARGEST = 4 * 2**30
"""Bytes of text read from one file at most, so that a small gzip bomb cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    Attributes:
        path: the file.
        line: its number, from 1.
        fields: column -> text, stripped.
    """

    path: Path
    line: int
    fields: Mapping[str, str]

    def text(self, column: str) -> str:
        """The field as it stands, stripped."""
        return self.fields[column]

    def number(self, column: str, least: float = -math.inf) -> float:
        """The field as a finite number, at least `least`. Raises BadInput."""
        text = self.fields[column]
        try:
            value = float(text)
        except ValueError:
            raise self.bad(column, f"{text!r} is not a number" if text else "is empty; write a number") from None
        if not math.isfinite(value) or "_" in text:
            raise self.bad(column, f"{text!r} is not a finite number; mend or drop the row")
        if value < least:
            raise self.bad(column, f"{text!r} is below {least:g}; mend or drop the row")
        return value

    def whole(self, column: str, least: int = 0) -> int:
        """The field as a whole number, at least `least`. Raises BadInput."""
        value = self.number(column, least)
        if value != int(value):
            raise self.bad(column, f"{self.fields[column]!r} is not a whole number; mend or drop the row")
        return int(value)

    def bad(self, column: str, why: str) -> BadInput:
        """A complaint about this row's column."""
        return BadInput(f"{self.path}, line {self.line}, column '{column}': {why}")


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, text without its end) of a plain or gzipped UTF-8 file. Raises BadInput."""
    size = number = 0
    with plainly(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline=None) as file:
        try:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST + 1), ""), 1):
                size += len(line)
                if len(line) > LONGEST:
                    raise BadInput(
                        f"{path}, line {number}: is longer than {LONGEST:,} characters; is it the right file?"
                    )
                if size > LARGEST:
                    raise BadInput(f"{path}: holds more than {LARGEST // 2**30} GiB of text; split it")
                yield number, line.rstrip("\r\n")
        except UnicodeDecodeError as error:
            why = f"is not UTF-8 text ({error.reason}); is it the right file?"
            raise BadInput(f"{path}, after line {number}: {why}") from None


@contextmanager
def plainly(path: Path) -> Iterator[gzip.GzipFile | io.BufferedReader]:
    """Opens a file's bytes, unzipped where they are gzip, whatever its name. What goes wrong is BadInput."""
    try:
        with path.open("rb") as head:
            zipped = head.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as raw:
            yield raw
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise BadInput(f"{path}: is a folder; give a file") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise BadInput(f"{path}: its gzip data is damaged ({error}); fetch it again") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from None


def content(path: Path) -> bytes:
    """All bytes of a plain or gzipped file, at most `LARGEST`. Raises BadInput."""
    with plainly(path) as raw:
        data = raw.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise BadInput(f"{path}: holds more than {LARGEST // 2**30} GiB; split it")
    return data


def read_csv(path: Path, columns: Sequence[str], delimiter: str = ",") -> Iterator[Row]:
    """Yields the rows of a delimited file with a header that has at least `columns`. Raises BadInput."""
    header: list[str] = []
    for number, line in lines(path):
        if not line.strip():
            continue
        cells = _cells(line, delimiter, f"{path}, line {number}")
        if not header:
            header = _header(cells, columns, f"{path}, line {number}")
        elif len(cells) != len(header):
            raise BadInput(
                f"{path}, line {number}: has {len(cells)} columns, its header {len(header)}; mend or drop the row"
            )
        else:
            yield Row(path, number, dict(zip(header, cells, strict=True)))
    if not header:
        raise BadInput(f"{path}: is empty; it should begin with the columns {', '.join(columns)}")


def _cells(line: str, delimiter: str, where: str) -> list[str]:
    if '"' not in line:
        return [cell.strip() for cell in line.split(delimiter)]
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter, strict=True))]
    except csv.Error as error:
        raise BadInput(f"{where}: its quotes cannot be read ({error}); mend or drop the row") from None


def _header(cells: list[str], columns: Sequence[str], where: str) -> list[str]:
    missing = [c for c in columns if c not in cells]
    if missing:
        raise BadInput(f"{where}: column '{missing[0]}' is missing; its columns are {', '.join(cells)[:200]!r}")
    twice = [c for c in columns if cells.count(c) > 1]
    if twice:
        raise BadInput(f"{where}: column '{twice[0]}' stands twice; keep one")
    return cells
