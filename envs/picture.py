"""Pictures of a session: who stood where, and how long the queue was. Matplotlib is imported when one is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .cluster import ClusterView
from .log import Log
from .nodes import Nodes, describe
from .vocabulary import Start, Stopped, Submitted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDEST = 32
"""Accelerators of a node that are shown one by one in text; beyond, a count is."""


def as_text(cluster: ClusterView) -> str:
    """The cluster in letters: a line a node, each running job its letter, free accelerators as dots."""
    letter = {r.job.id: chr(ord("a") + n % 26) for n, r in enumerate(cluster.running)}
    holder: dict[str, str] = {}
    for running in cluster.running:
        for _, accelerators in running.placement:
            holder |= dict.fromkeys(accelerators, letter[running.job.id])
    rows = [f"t = {cluster.now:,.0f} s   {len(cluster.running)} running, {len(cluster.pending)} waiting"]
    for node in cluster.nodes:
        marks = "".join(holder.get(a.id, ".") for a in node.accelerators)
        busy = len(marks) - marks.count(".")
        shown = marks if len(marks) <= WIDEST else f"{busy} of {len(marks)} busy"
        rows.append(f"{node.id:>12} [{shown}] {', '.join(sorted({a.kind for a in node.accelerators}))}".rstrip())
    if any(a.emulated for n in cluster.nodes for a in n.accelerators):
        rows.append("(emulated accelerators)")
    return "\n".join(rows)


def figure(log: Log, title: str = "", size: tuple[float, float] = (9.0, 5.0)) -> Figure:
    """Occupancy by accelerator over time, and below it the queue. `size` in inches."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=size, layout="constrained")
    top, bottom = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    scale, unit = _unit(log)
    _occupancy(top, log, scale)
    _queue(bottom, log, scale)
    bottom.set_xlabel(f"time ({unit})")
    top.set_title(title or describe(log.nodes), fontsize=10)
    return canvas


def draw(log: Log, path: Path, title: str = "") -> Path:
    """Writes `figure` as PNG (or what the suffix says) and returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure(log, title).savefig(path, dpi=130)
    return path


def as_pixels(log: Log) -> npt.NDArray[np.uint8]:
    """`figure` as uint8 of shape (500, 800, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure(log, size=(8.0, 5.0)))
    canvas.figure.set_dpi(100)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba(), np.uint8)  # type: ignore[no-untyped-call]
    return pixels[:, :, :3].copy()


def _unit(log: Log) -> tuple[float, str]:
    last = max((time for time, _ in log.timed()), default=0.0)
    for seconds, unit in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if last > 3 * seconds:
            return 1 / seconds, unit
    return 1.0, "seconds"


def _occupancy(axes: Axes, log: Log, scale: float) -> None:
    """A bar for each stay of a job on neighbouring accelerators."""
    from matplotlib import colormaps
    from matplotlib.collections import PolyCollection

    line = {a.id: row for row, a in enumerate(a for n in log.nodes for a in n.accelerators)}
    bars, colours = [], []
    for job, placement, begin, end in stays(log):
        for low, high in _runs(sorted(line[a] for _, accelerators in placement for a in accelerators)):
            x0, x1 = begin * scale, end * scale
            bars.append([(x0, low), (x1, low), (x1, high), (x0, high)])
            colours.append(colormaps["tab20"](job * 7 % 20))
    axes.add_collection(
        PolyCollection(bars, facecolors=colours, edgecolors="white", linewidths=0.3 if len(bars) < 2000 else 0)
    )
    axes.set_ylim(len(line), 0)
    axes.set_ylabel("accelerator")
    _nodes(axes, log.nodes)


def _nodes(axes: Axes, nodes: Nodes) -> None:
    """Node borders, and their names while they can be read."""
    edges = np.cumsum([0] + [len(n.accelerators) for n in nodes])
    if len(nodes) <= 40:
        for edge in edges[1:-1]:
            axes.axhline(float(edge), color="0.6", linewidth=0.5)
    if len(nodes) <= 12:
        axes.set_yticks((edges[:-1] + edges[1:]) / 2, [n.id for n in nodes], fontsize=8)


def _queue(axes: Axes, log: Log, scale: float) -> None:
    from matplotlib.ticker import MaxNLocator

    times, waiting, busy = levels(log)
    axes.step(times * scale, waiting, where="post", color="tab:red", linewidth=1, label="jobs waiting")
    axes.step(times * scale, busy, where="post", color="tab:blue", linewidth=1, label="accelerators busy")
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlim(0, float(times[-1] * scale) or 1.0)
    axes.legend(fontsize=8, loc="upper right")


def stays(log: Log) -> list[tuple[int, Any, float, float]]:
    """Each stay of a job in a place: (job, placement, begin, end), seconds. What still runs ends with the log."""
    open_: dict[int, tuple[Any, float]] = {}
    done, now = [], 0.0
    for now, entry in log.timed():
        match entry:
            case Start(job, placement):
                open_[job] = (placement, now)
            case Stopped(_, job):
                placement, begin = open_.pop(job)
                done.append((job, placement, begin, now))
    return done + [(job, placement, begin, now) for job, (placement, begin) in open_.items()]


def levels(log: Log) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Jobs waiting and accelerators busy after each entry: three arrays of shape (entries + 1,)."""
    times, waiting, busy = [0.0], [0], [0]
    gang: dict[int, int] = {}
    for now, entry in log.timed():
        wait, used = waiting[-1], busy[-1]
        match entry:
            case Submitted(_, job):
                gang[job.id] = job.gang
                wait += 1
            case Start(job_id, _):
                wait, used = wait - 1, used + gang[job_id]
            case Stopped(_, job_id, reason):
                wait, used = wait + (reason == "preempted"), used - gang[job_id]
        times.append(now)
        waiting.append(wait)
        busy.append(used)
    return np.array(times), np.array(waiting), np.array(busy)


def _runs(rows: list[int]) -> list[tuple[int, int]]:
    """Neighbouring rows joined: [0, 1, 2, 5] -> [(0, 3), (5, 6)]."""
    runs: list[tuple[int, int]] = []
    for row in rows:
        if runs and runs[-1][1] == row:
            runs[-1] = (runs[-1][0], row + 1)
        else:
            runs.append((row, row + 1))
    return runs
