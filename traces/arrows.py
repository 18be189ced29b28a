"""Arrow tables in files, Parquet or CSV by the name's ending, whose every complaint says where in the file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from .rows import content
from .trouble import BadInput

pa: Any = import_module("pyarrow")  # it says it is typed, but its compiled half is not
pacsv: Any = import_module("pyarrow.csv")
parquet: Any = import_module("pyarrow.parquet")

TEXTS = pa.list_(pa.string())
NUMBERS = pa.list_(pa.int64())
PAIRS = pa.list_(pa.list_(pa.float64()))
LISTS = {TEXTS: "texts", NUMBERS: "whole numbers", PAIRS: "pairs of numbers"}
"""Columns whose cells are lists, in CSV as JSON. Short lists of texts and numbers may be written A|B."""

ENDINGS = (".parquet", ".csv", ".csv.gz")
KEY = "gpuyard trace"
"""Names what is said of the table as a whole: a key of Parquet's metadata, the head of CSV's comment line."""

Where = Callable[[int], str]
"""Row from 0 (-1 is the header) -> the words that say where it stands."""


def ending(path: Path) -> str:
    """The ending that says a table's format. Raises BadInput."""
    for end in ENDINGS:
        if path.name.endswith(end):
            return end
    raise BadInput(f"{path}: a trace table's name ends in {', '.join(ENDINGS)}; name it so")


def encoded(table: Any, end: str) -> bytes:
    """The bytes of a file with that ending, for a table whose metadata has `KEY`.

    CSV quotes every text, so that an empty text ("") is not an unknown one (nothing); lists are JSON.
    """
    out = io.BytesIO()
    if end == ".parquet":
        parquet.write_table(table, out, compression="zstd")
        return out.getvalue()
    for index, column in enumerate(table.schema):
        if column.type in LISTS:
            texts = [json.dumps(value) if value else None for value in table.column(index).to_pylist()]
            table = table.set_column(index, column.name, pa.array(texts, pa.string()))
    out.write(f"# {KEY} {table.schema.metadata[KEY.encode()].decode()}\n".encode())
    pacsv.write_csv(table, out)
    return gzip.compress(out.getvalue(), mtime=0) if end == ".csv.gz" else out.getvalue()


def read(path: Path, schema: Mapping[str, Any]) -> tuple[Any, Where]:
    """Reads a table whose columns named in `schema` have its types; others stay as they are. Raises BadInput."""
    end, data = ending(path), content(path)
    return _parquet(path, data, schema) if end == ".parquet" else _csv(path, data, schema)


def _parquet(path: Path, data: bytes, schema: Mapping[str, Any]) -> tuple[Any, Where]:
    try:
        table = parquet.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path}: is not a readable Parquet file ({_one_line(error)})") from None
    for index, name in enumerate(table.column_names):
        if name in schema:
            try:
                table = table.set_column(index, name, table.column(index).cast(schema[name]))
            except pa.ArrowException as error:
                raise BadInput(f"{path}, column '{name}': should be {schema[name]} ({_one_line(error)})") from None
    return table, lambda row: f"{path}, row {row + 1}"


def _csv(path: Path, data: bytes, schema: Mapping[str, Any]) -> tuple[Any, Where]:
    skipped = 1 if data.startswith(b"#") else 0
    kinds = {name: pa.string() if kind in LISTS else kind for name, kind in schema.items()}
    try:
        data.decode()
        table = pacsv.read_csv(
            io.BytesIO(data),
            pacsv.ReadOptions(use_threads=False, skip_rows=skipped),
            pacsv.ParseOptions(newlines_in_values=True),
            pacsv.ConvertOptions(
                column_types=kinds, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
            ),
        )
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path}, line {line}: is not UTF-8 text ({error.reason}); is it the right file?") from None
    except pa.ArrowException as error:
        raise _explained(str(error), data, skipped, path, kinds) from None

    def where(row: int) -> str:
        return f"{path}, line {_line(data, row + 1 + skipped)}"

    for index, name in enumerate(table.column_names):
        if (kind := schema.get(name)) in LISTS:
            cells = [_list(text, kind, where, row, name) for row, text in enumerate(table.column(index).to_pylist())]
            table = table.set_column(index, name, pa.array(cells, kind))
    return table.replace_schema_metadata(_comment(data) if skipped else None), where


def _comment(data: bytes) -> dict[str, bytes] | None:
    line = data.split(b"\n", 1)[0].removeprefix(b"#").strip()
    return {KEY: line.removeprefix(KEY.encode()).strip()} if line.startswith(KEY.encode()) else None


def _list(text: str | None, kind: Any, where: Where, row: int, name: str) -> list[Any]:
    """A cell with several values: a JSON list, or in short A|B."""
    if kind == TEXTS and not (text or "").startswith("["):
        return [part for part in (text or "").split("|") if part]
    short = (text or "").split("|") if kind == NUMBERS and not (text or "").startswith("[") else []
    try:
        parts = [int(part) for part in short if part] if short else json.loads(text or "[]")
        if not isinstance(parts, list) or not all(_fits(part, kind) for part in parts):
            raise ValueError
    except (ValueError, RecursionError):
        wanted = f"is no JSON list of {LISTS[kind]}; mend or drop the row"
        raise BadInput(f"{where(row)}, column '{name}': {(text or '')[:80]!r} {wanted}") from None
    return parts


def _fits(part: object, kind: Any) -> bool:
    """Whether a part of a JSON list is what its column holds."""
    if kind == TEXTS:
        return isinstance(part, str)
    if kind == NUMBERS:
        return type(part) is int and -(2**63) <= part < 2**63
    return isinstance(part, list) and len(part) == 2 and all(type(value) in (int, float) for value in part)


def _explained(error: str, data: bytes, skipped: int, path: Path, kinds: Mapping[str, Any]) -> BadInput:
    """Arrow's complaint in our words: its rows count from 1 with the header, its columns from 0."""
    if found := re.match(r"In CSV column #(\d+): Row #(\d+): .*invalid value '(.*)'", error, re.DOTALL):
        header = next(islice(csv.reader(io.StringIO(data.decode(errors="replace"))), skipped, None), [])
        line, name = _line(data, int(found[2]) - 1), header[int(found[1])]
        wanted = {pa.int64(): "a whole number", pa.bool_(): "true or false"}.get(kinds[name], "a number")
        where = f"{path}, line {line}, column '{name}'"
        return BadInput(f"{where}: {found[3]!r} is not {wanted}; mend or drop the row")
    if found := re.match(r"CSV parse error: Row #(\d+): Expected (\d+) columns, got (\d+)", error):
        line = _line(data, int(found[1]) - 1)
        return BadInput(f"{path}, line {line}: has {found[3]} columns, its header {found[2]}; mend or drop the row")
    return BadInput(f"{path}: is not a readable CSV table ({_one_line(error)})")


def _line(data: bytes, row: int) -> int:
    """The line at which a row ends, rows counted from 0 with the comment and the header, blank lines apart."""
    reader = csv.reader(io.StringIO(data.decode(errors="replace"), newline=""))
    next(islice((cells for cells in reader if cells), row, None), None)
    return reader.line_num


def _one_line(error: object) -> str:
    return " ".join(str(error).split())[:200]
