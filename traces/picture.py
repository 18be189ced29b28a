"""A trace in one picture: when jobs come, how bunched they are, how long they run, and whose they are."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .estimates import explained
from .job import Trace
from .statistics import CLASSES, HOUR, hourly, title
from .trouble import BadInput

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

INK, PALE, WARM = "#1f4e79", "#9db8d2", "#c8553d"
SCALE = ("#0b3c5d", "#2f7f93", "#57a773", "#d9a441", "#c8553d", "#7d3c98", "#555555")
TICKS = {
    1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 86400: "1 d", 864000: "10 d", 8640000: "100 d",
}  # fmt: skip
SHOWN = 9


def draw(trace: Trace, path: Path) -> None:
    """Draws a trace to `path`, in the format its ending names (png, svg, pdf). Raises BadInput."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not trace.jobs:
        raise BadInput(f"trace {trace.name!r} has no jobs to draw")
    figure = Figure(figsize=(12, 8), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    (arrivals, gaps), (runs, owners) = figure.subplots(2, 2)
    figure.suptitle(_heading(trace), fontsize=13, parse_math=False)
    _arrivals(arrivals, trace)
    _gaps(gaps, np.array([job.submit for job in trace.jobs]))
    _run_times(runs, trace)
    _owners(owners, trace)
    for axes in (arrivals, gaps, runs, owners):
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontsize(11)
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: the picture cannot be written ({error}); name a .png, .svg or .pdf") from None


def _heading(trace: Trace) -> str:
    days = trace.span / 86400
    span = f"{days:,.1f} days" if days >= 2 else f"{trace.span / HOUR:,.1f} hours"
    when = f"over {span}" if trace.span else "at once"
    return f"{trace.name}: {len(trace):,} jobs {when} (estimates: {explained(trace.estimates)})"


def _arrivals(axes: Axes, trace: Trace) -> None:
    """Submissions an hour, or a day where hours would be too many to see."""
    counts = hourly(np.array([job.submit for job in trace.jobs]))
    unit, width = ("hour", 1) if len(counts) <= 24 * 14 else ("day", 24)
    bins = np.add.reduceat(counts, np.arange(0, len(counts), width))
    hours = trace.jobs[0].submit // HOUR + width * np.arange(len(bins) + 1, dtype=np.float64)
    axis, edges = _clock(axes, hours, trace.origin)
    axes.stairs(bins, edges, fill=True, color=PALE)
    axes.stairs(bins, edges, color=INK, linewidth=0.8)
    axes.axhline(bins.mean(), color=WARM, linewidth=1, linestyle="--", label=f"mean {bins.mean():,.1f} jobs per {unit}")
    axes.set(title="Submissions", ylabel=f"jobs per {unit}", xlabel=axis, ylim=(0, 1.18 * bins.max()))
    axes.legend(frameon=False, loc="upper right")
    axes.margins(x=0)


def _clock(axes: Axes, hours: Floats, origin: str | None) -> tuple[str, Any]:
    """The time axis's label and places: dates where the trace knows them, else hours or days."""
    if not origin:
        short = hours[-1] - hours[0] <= 72
        return ("hours from second 0", hours) if short else ("days from second 0", hours / 24)
    from matplotlib import dates

    axes.xaxis.axis_date()
    ticks = dates.AutoDateLocator(maxticks=7)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(ticks)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(ticks))  # type: ignore[no-untyped-call]
    zero = datetime.fromisoformat(origin)
    return "", dates.date2num([zero + timedelta(hours=float(hour)) for hour in hours])  # type: ignore[no-untyped-call]


def _gaps(axes: Axes, submit: Floats) -> None:
    """How often the time between two submissions is longer than so much, beside a Poisson stream of the same rate."""
    gaps = np.sort(np.diff(submit))
    axes.set(title="Time between submissions", ylabel="part of gaps that are longer", xlabel="gap")
    if not len(gaps) or not gaps[-1]:
        axes.text(0.5, 0.5, "all jobs come at once", ha="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return
    above = 1 - np.arange(1, len(gaps) + 1) / (len(gaps) + 1)
    times = np.geomspace(1, max(gaps[-1], 2.0), 200)
    axes.step(np.maximum(gaps, 1), above, where="post", color=INK, label="this trace")
    axes.plot(times, np.exp(-times / gaps.mean()), color=WARM, linestyle="--", label="independent jobs at this rate")
    axes.set(yscale="log", ylim=(0.5 / (len(gaps) + 1), 1.3))
    _time_axis(axes, 1, float(gaps[-1]))
    axes.legend(frameon=False, loc="lower left")


def _run_times(axes: Axes, trace: Trace) -> None:
    """The distribution of run times by class of gangs."""
    gang = np.array([job.gang for job in trace.jobs])
    durations = np.maximum([trace.durations[job.id] for job in trace.jobs], 1.0)
    present = [(low, high) for low, high in CLASSES if ((gang >= low) & (gang <= high)).any()]
    for colour, (low, high) in zip(SCALE, present, strict=False):
        own = np.sort(durations[(gang >= low) & (gang <= high)])
        label = f"{title(low, high)} ({len(own):,} jobs)"
        axes.step(own, np.arange(1, len(own) + 1) / len(own), where="post", color=colour, label=label, linewidth=1.4)
    axes.set(title="Run times by accelerators asked for", ylabel="part of jobs that run no longer", xlabel="run time")
    axes.set_ylim(0, 1.02)
    _time_axis(axes, float(durations.min()), float(durations.max()))
    axes.legend(frameon=False, loc="lower right", fontsize=8.5)


def _time_axis(axes: Axes, low: float, high: float) -> None:
    axes.set(xscale="log", xlim=(max(low * 0.8, 0.8), max(high * 1.25, low * 10)))
    axes.set_xticks(list(TICKS), list(TICKS.values()))
    axes.minorticks_off()
    axes.set_xlim(max(low * 0.8, 0.8), max(high * 1.25, low * 10))
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)


def _owners(axes: Axes, trace: Trace) -> None:
    """Who submits how much, by jobs and by accelerator time; by gangs where the trace knows no tenants."""
    tenants = any(job.tenant is not None for job in trace.jobs)
    jobs: Counter[str] = Counter()
    work: defaultdict[str, float] = defaultdict(float)
    for job in trace.jobs:
        name = (job.tenant or "unknown") if tenants else _class_of(job.gang)
        jobs[name] += 1
        work[name] += trace.durations[job.id] * job.gang * job.share
    classes = [title(low, high) for low, high in CLASSES]
    names = [n for n, _ in jobs.most_common()] if tenants else sorted(jobs, key=classes.index)
    shown, rest = (names, []) if len(names) <= SHOWN + 1 else (names[:SHOWN], names[SHOWN:])
    rows = [(name, [name]) for name in shown] + ([(f"{len(rest)} others", rest)] if rest else [])
    whole = sum(work.values()) or 1.0
    places = np.arange(len(rows))[::-1]
    by_jobs = [100 * sum(jobs[n] for n in members) / len(trace) for _, members in rows]
    by_work = [100 * sum(work[n] for n in members) / whole for _, members in rows]
    axes.barh(places + 0.2, by_jobs, 0.38, color=PALE, label="of jobs")
    axes.barh(places - 0.2, by_work, 0.38, color=INK, label="of accelerator time")
    axes.set_yticks(places, [name if len(name) <= 16 else f"{name[:15]}…" for name, _ in rows], parse_math=False)
    axes.set(title="Tenants" if tenants else "Accelerators asked for (no tenants known)", xlabel="share (%)")
    axes.legend(frameon=False, loc="lower right")


def _class_of(gang: int) -> str:
    return next(title(low, high) for low, high in CLASSES if low <= gang <= high)
