"""Where a trace comes from, in one line of text: `philly:PATH`, `synthetic:lab,jobs=500`, `fetched:lublin-256`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules

from .job import Trace
from .rows import lines
from .trouble import BadInput, nearest

_OPTION = re.compile(r",(?P<key>[a-z_]+)=(?P<value>[^,]*)$")


def open_trace(spec: str, *, seed: int = 0) -> Trace:
    """Opens the trace that `spec` names.

    Args:
        spec: what is read or made, with options behind commas; each may also have those of `enrich.enriched`, such as
            `profiles=1,elastic=0.2`. `FORMAT:PATH[,option=value...]`, where a format is a module of this package (or
            `a.module` of your own) with a function `load(path, **options)`; `synthetic:PRESET[,jobs=N,seed=S,...]`;
            `fetched:NAME[/FILE][,option=value...]` for a set of the catalog that was fetched; or the path of a table
            that gpuyard wrote.
        seed: of what is drawn where the spec names no other.

    Raises:
        BadInput: an unknown format, preset, set or option; whatever the loader finds wrong.
    """
    source, colon, rest = spec.partition(":")
    if not colon:
        return _bare(spec)
    if source == "synthetic":
        return _generated(rest, seed)
    if source == "fetched":
        return _fetched(rest, seed)
    return _loaded(source, rest, seed)


def formats() -> dict[str, Callable[..., Trace]]:
    """Name -> `load` of every format: each module of this package that has one."""
    package = import_module(__package__ or "gpuyard.traces")
    modules = [(info.name, import_module(f".{info.name}", package.__name__)) for info in iter_modules(package.__path__)]
    return {name: module.load for name, module in modules if hasattr(module, "load")}


def _loaded(source: str, rest: str, seed: int = 0) -> Trace:
    load = _loader(source)
    path, options = _parted(rest)
    own, richer = _sorted(load, options, source)
    return _richer(load(Path(path).expanduser(), **own), richer, seed)


def _richer(trace: Trace, parts: dict[str, str], seed: int) -> Trace:
    if not parts:
        return trace
    from .enrich import enriched

    return enriched(trace, seed, **{key: _number(key, value) for key, value in parts.items()})


def _loader(source: str) -> Callable[..., Trace]:
    name = source if "." in source else f"{__package__}.{source}"
    if "." in source:
        nearby()
    if re.fullmatch(r"[A-Za-z_][\w.]*", source) and _exists(name):
        load: Callable[..., Trace] | None = getattr(import_module(name), "load", None)
        if load:
            return load
    known = [*formats(), "synthetic", "fetched"]
    raise BadInput(f"trace format '{source}': there is none of that name; write FORMAT:PATH.{nearest(source, known)}")


def nearby() -> None:
    """Lets modules of the working directory be imported, after all others: `python -m` has them, a script has not."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _parted(rest: str) -> tuple[str, dict[str, str]]:
    """The path and its options; a file whose own name ends in ",key=value" is taken at its word."""
    options: dict[str, str] = {}
    while not Path(rest).expanduser().exists() and (found := _OPTION.search(rest)):
        options.setdefault(found["key"], found["value"])
        rest = rest[: found.start()]
    return rest, options


def _sorted(load: Callable[..., object], options: dict[str, str], source: str) -> tuple[dict[str, str], dict[str, str]]:
    """The loader's own options, and those that make its jobs richer."""
    known = [p.name for p in inspect.signature(load).parameters.values() if p.kind is p.KEYWORD_ONLY]
    others = {key: value for key, value in options.items() if key not in known}
    if others:
        from .enrich import OPTIONS

        for key in set(others) - set(OPTIONS):
            raise BadInput(f"trace format '{source}': no option '{key}'.{nearest(key, [*known, *OPTIONS])}")
    return {key: value for key, value in options.items() if key in known}, others


def _bare(spec: str) -> Trace:
    if spec.endswith((".parquet", ".csv", ".csv.gz")) and Path(spec).is_file() and _ours(Path(spec)):
        return _loaded("table", spec)
    known = ", ".join(sorted(formats()))
    raise BadInput(f"trace {spec!r}: write FORMAT:PATH (formats: {known}), synthetic:PRESET or fetched:NAME")


def _ours(path: Path) -> bool:
    return path.suffix == ".parquet" or next(lines(path), (0, ""))[1].startswith("# gpuyard trace")


def _generated(rest: str, seed: int) -> Trace:
    from .synthetic import generate

    preset, *pairs = rest.split(",")
    options = {key: _number(key, value) for key, _, value in (pair.partition("=") for pair in pairs)}
    whole: dict[str, int] = {"seed": seed}
    for key in {"jobs", "seed"} & set(options):
        value = options.pop(key)
        if not isinstance(value, int) or value < 0:
            raise BadInput(f"option {key}={value}: is not a whole number from 0; write {key}=1000")
        whole[key] = value
    return generate(preset, jobs=whole.get("jobs"), seed=whole["seed"], **options)


def _number(key: str, text: str) -> float:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise BadInput(f"option {key}={text}: {text!r} is not a number; write {key}=1000")


def _fetched(rest: str, seed: int) -> Trace:
    from .catalog import cached

    name, options = _parted(rest)
    entry, path = cached(name)
    load = _loader(entry.format)
    own, richer = _sorted(load, options, entry.format)
    trace = replace(load(path, **own), name=entry.name if "/" not in name else name)
    return _richer(trace, richer, seed)
