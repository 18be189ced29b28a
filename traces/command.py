"""`gpuyard traces`: what there is, fetching it, looking at it, turning it into a table, and making more like it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from .catalog import ORIGIN, cache_folder, entries, find
from .catalog import fetch as bring
from .estimates import explained, with_estimates
from .job import Trace
from .source import formats, open_trace
from .trouble import BadInput

if TYPE_CHECKING:
    from .statistics import Summary

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
seeded = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is drawn.")


@click.group(context_settings=HELP)
def command() -> None:
    """List, fetch, describe, convert and generate traces.

    \b
    A trace is named FORMAT:PATH, synthetic:PRESET or fetched:NAME, with options behind commas:
      philly:philly.csv.gz,since=2017-10-02
      swf:LCG.swf.gz,tenant=partition
      gavel:run.trace,throughputs=simulation_throughputs.json,kind=p100
      synthetic:lab,jobs=500,seed=3
      fetched:lublin-256
    Any may be made richer, by parts from 0 to 1 (profiles or modern, elastic, pipelines, deadlines, fractions, sweeps,
    data, sites, regimes):
      synthetic:philly,profiles=1,elastic=0.2
    A table that gpuyard wrote (.parquet, .csv, .csv.gz) needs its path alone.
    """


@command.command("list", context_settings=HELP)
@as_json
def list_(as_json: bool) -> None:
    """List formats, presets of synthetic traces, and public sets with their licences.

    \b
    Examples:
      gpuyard traces list
      gpuyard traces list --json
    """
    from .synthetic import presets

    if as_json:
        return click.echo(json.dumps(_listing(), indent=2))
    screen = _screen()
    screen.print(f"Formats: {', '.join(formats())}\n")
    made = Table("preset", "synthetic traces", title="synthetic:PRESET", title_justify="left")
    for name, numbers in presets().items():
        made.add_row(name, numbers["about"])
    public = Table("set", "what it is", "MB", "licence", "here", title="fetched:NAME", title_justify="left")
    for entry in entries().values():
        here = "yes" if entry.is_cached else "no"
        public.add_row(entry.name, entry.about, f"{entry.bytes / 1e6:.1f}", entry.licence, here)
    screen.print(made)
    screen.print(public)
    return screen.print(f"Fetched sets lie in {cache_folder()} (set GPUYARD_CACHE to change it).", soft_wrap=True)


def _listing() -> dict[str, Any]:
    from .synthetic import presets

    sets = [
        {
            "name": e.name,
            "about": e.about,
            "format": e.format,
            "bytes": e.bytes,
            "licence": e.licence,
            "cite": e.cite,
            "repository": e.repository,
            "commit": e.commit,
            "files": [file.name for file in e.files],
            "cached": e.is_cached,
            "folder": str(e.folder),
        }
        for e in entries().values()
    ]
    made = {name: numbers["about"] for name, numbers in presets().items()}
    return {"formats": list(formats()), "presets": made, "sets": sets}


@command.command(context_settings=HELP)
@click.argument("name")
@click.option("--mirror", default=ORIGIN, show_default=True, help="Serves /OWNER/REPOSITORY/COMMIT/PATH.")
@as_json
def fetch(name: str, mirror: str, as_json: bool) -> None:
    """Fetch a public set into the cache: resumed if cut short, checked by sha256, moved there whole.

    \b
    Examples:
      gpuyard traces fetch philly
      gpuyard traces describe fetched:philly
      GPUYARD_CACHE=/data/cache gpuyard traces fetch gavel-physical
    """
    entry = find(name)
    click.echo(f"{entry.name}: {entry.about}\nlicence: {entry.licence}\ncite: {entry.cite}", err=True)
    with _bar() as progress:
        paths = bring(entry, progress, mirror)
    if as_json:
        return click.echo(json.dumps({"name": entry.name, "files": [str(path) for path in paths]}, indent=2))
    for path in paths:
        click.echo(path)
    return None


@command.command(context_settings=HELP)
@click.argument("spec")
@click.option("--picture", type=click.Path(path_type=Path), help="Draw it to this .png, .svg or .pdf.")
@click.option("--accelerators", type=click.IntRange(1), help="Size of a cluster: say how busy the trace keeps it.")
@seeded
@as_json
def describe(spec: str, picture: Path | None, accelerators: int | None, seed: int, as_json: bool) -> None:
    """Say what a trace is like: size, rhythm, burstiness, run times, tenants, load, and what its loader left out.

    \b
    Examples:
      gpuyard traces describe synthetic:philly --picture philly.png
      gpuyard traces describe philly:philly.csv.gz --accelerators 480
      gpuyard traces describe swf:lublin_256.swf --json
    """
    from .statistics import describe as summarise

    trace = _opened(spec, seed)
    if not trace.jobs:
        raise BadInput(f"trace {spec!r}: has no jobs to describe")
    summary = summarise(trace)
    rho = summary.load / accelerators if accelerators and summary.load is not None else None
    if picture:
        from .picture import draw

        draw(trace, picture)
        click.echo(f"picture: {picture}", err=True)
    if as_json:
        report = trace.report.as_dict() if trace.report else None
        click.echo(json.dumps(summary.as_dict() | {"rho": rho, "report": report}, indent=2))
    else:
        _tell(summary, trace, accelerators, rho)
    if rho is not None and rho > 1:
        click.echo(f"warning: load {rho:.2f} is above 1: the queue grows without bound", err=True)


def _tell(summary: Summary, trace: Trace, accelerators: int | None, rho: float | None) -> None:
    from .statistics import QUANTILES

    screen = _screen()
    facts = Table(title=summary.name, title_justify="left", show_header=False)
    for fact, value in _facts(summary).items():
        facts.add_row(fact, value)
    if rho is not None:
        facts.add_row(f"load of {accelerators:,} accelerators", f"{rho:.2f}")
    screen.print(facts)
    runs = Table("gangs", "jobs", "mean", *(f"p{100 * q:g}" for q in QUANTILES), "of all work", title="Run times")
    for row in summary.run_times:
        times = (_time(seconds) for seconds in (row.mean, *row.quantiles))
        runs.add_row(row.gangs, f"{row.jobs:,}", *times, f"{row.work:.1%}")
    screen.print(runs)
    if trace.report:
        screen.print(f"Loaded: {trace.report}", markup=False, soft_wrap=True)


def _facts(s: Summary) -> dict[str, str]:
    known = {
        "jobs": f"{s.jobs:,}",
        "span": _time(s.span),
        "second 0": s.origin or "",
        "estimates": explained(s.estimates),
        "jobs an hour": f"{s.hourly:,.1f}" if s.hourly is not None else "",
        "their dispersion (variance / mean)": _number(s.dispersion),
        "log rate: sd, hour-to-hour correlation": f"{_number(s.log_rate_sd)}, {_number(s.log_rate_ar1)}",
        "hours without a submission": _share(s.empty_hours),
        "gaps: mean, cv": f"{_time(s.gap_mean or 0)}, {_number(s.gap_cv)}",
        "within 1 s of the one before": _share(s.together),
        "tenants; Gini of jobs, of work": f"{s.tenants}; {_number(s.gini_jobs)}, {_number(s.gini_work)}",
        "accelerators busy if none waits": f"{s.load:,.1f} on average, {s.peak:,.0f} at most" if s.load else "",
        "gangs": ", ".join(f"{gang}: {count:,}" for gang, count in s.gangs.items()),
        "duplicates; shares; CPU-only": f"{s.duplicates:,}; {s.fractional:,}; {s.cpu_only:,}",
    }
    return {fact: value for fact, value in known.items() if value}


@command.command(context_settings=HELP)
@click.argument("spec")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--limit", type=click.IntRange(1), help="Only the first so many jobs.")
@click.option(
    "--estimates", default="recorded", show_default=True, help="recorded, none, predicted, exact, noisy:SIGMA."
)
@seeded
@as_json
def convert(spec: str, out: Path, limit: int | None, estimates: str, seed: int, as_json: bool) -> None:
    """Turn a trace into gpuyard's own table (.parquet, .csv, .csv.gz), which nothing is lost in.

    \b
    Examples:
      gpuyard traces convert philly:philly.csv.gz philly.parquet
      gpuyard traces convert swf:LCG.swf.gz start.csv --limit 1000 --estimates noisy:0.8
      gpuyard traces convert synthetic:lab,profiles=1,deadlines=0.2 rich.parquet
    """
    trace = with_estimates(_opened(spec, seed), estimates, seed)
    _write(trace.first(limit) if limit else trace, out, as_json)


@command.command(context_settings=HELP)
@click.argument("preset")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--jobs", type=click.IntRange(1), help="How many; the preset's own number by default.")
@seeded
@click.option("--rate", type=float, help="Multiplies the bursts of jobs an hour.")
@click.option("--longest", type=float, help="Cuts run times at so many seconds.")
@click.option("--largest", type=float, help="Leaves out larger gangs.")
@as_json
def generate(preset: str, out: Path, jobs: int | None, seed: int, as_json: bool, **overrides: float | None) -> None:
    """Make a synthetic trace and write it as a table. The same numbers make the same trace.

    PRESET is philly, sweeps, lab, or a JSON file that `calibrate` wrote.

    \b
    Examples:
      gpuyard traces generate lab lab.parquet --jobs 500 --seed 3
      gpuyard traces generate philly small.csv.gz --jobs 20000 --largest 8
    """
    from .synthetic import generate as make

    given = {key: value for key, value in overrides.items() if value is not None}
    _write(make(preset, jobs=jobs, seed=seed, **given), out, as_json)


@command.command(context_settings=HELP)
@click.argument("spec")
@click.argument("out", type=click.Path(path_type=Path))
@seeded
def calibrate(spec: str, out: Path, seed: int) -> None:
    """Read a synthetic preset off a trace and write it as JSON, to make more like that trace.

    \b
    Examples:
      gpuyard traces calibrate philly:philly.csv.gz,since=2017-10-02,until=2017-12-13 mine.json
      gpuyard traces generate mine.json more.parquet --jobs 50000
    """
    from .calibrate import calibrate as fit

    numbers = fit(_opened(spec, seed))
    try:
        out.write_text(json.dumps({"about": f"calibrated on {spec}", **numbers}, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{out}: cannot be written ({error.strerror}); choose another place") from None
    click.echo(f"wrote {out}")


def _opened(spec: str, seed: int) -> Trace:
    with Console(stderr=True, emoji=False).status(f"reading {spec}"):
        return open_trace(spec, seed=seed)


def _write(trace: Trace, out: Path, as_json: bool) -> None:
    from .table import save

    with Console(stderr=True, emoji=False).status(f"writing {out}"):
        save(trace, out)
    said = {"path": str(out), "jobs": len(trace), "name": trace.name, "estimates": trace.estimates}
    text = f"wrote {out}: {len(trace):,} jobs, estimates {explained(trace.estimates)}"
    click.echo(json.dumps(said, indent=2) if as_json else text)


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar a file, on a terminal; yields what tells it of bytes."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True, emoji=False)
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:

        def tell(name: str, here: int, size: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=size)
            bar.update(tasks[name], completed=here)

        yield tell


def _screen() -> Console:
    return Console(width=None if sys.stdout.isatty() else 120, highlight=False, emoji=False)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _time(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.1f} s"
