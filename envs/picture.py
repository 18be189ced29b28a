"""Pictures of a session: who stood where, the queue, what was in use, power. Matplotlib is imported only to draw."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .grid import Rows, absence, means, occupancy, rows
from .log import Log
from .nodes import describe
from .timeline import Stay, Timeline, timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW_ROWS, FEW_STAYS = 128, 6000
"""Up to so many accelerators and stays each stay is a bar; beyond, rows are shaded by how much of them is in use."""
TALL, BINS, READABLE = 240, 960, 16
"""Rows of a shaded picture at most, spans of time in it, and rows whose names can be read."""
GONE, HATCH = "0.82", "////"
KILO, MEGA = 1e3, 1e6


def figure(log: Log | Timeline, title: str = "", size: tuple[float, float] = (10.0, 7.0)) -> Figure:
    """Occupancy over time; below it the queue, accelerators in use, and power where it is known. `size` in inches."""
    from matplotlib.figure import Figure

    line = log if isinstance(log, Timeline) else timeline(log)
    canvas = Figure(figsize=size, layout="constrained")
    panels = [_queue, _use, *([_power] if not np.isnan(line.watts).all() else [])]
    axes = canvas.subplots(1 + len(panels), 1, sharex=True, height_ratios=(3.2, *(1 for _ in panels)))
    _occupancy(axes[0], line)
    for one, panel in zip(axes[1:], panels, strict=True):
        panel(one, line)
        one.set_ylim(bottom=0)
        one.grid(axis="y", color="0.9", linewidth=0.6)
        one.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, borderaxespad=0.1)
    axes[0].set_xlim(0, line.until * line.scale[0] or 1.0)
    axes[-1].set_xlabel(f"time ({line.scale[1]})")
    axes[0].set_title(title or describe(line.nodes), fontsize=10, loc="right", pad=8)
    canvas.align_ylabels(list(axes))
    return canvas


def draw(log: Log | Timeline, path: Path, title: str = "") -> Path:
    """Writes `figure` as PNG (or what the suffix says) and returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure(log, title).savefig(path, dpi=120)
    return path


def as_pixels(log: Log | Timeline) -> npt.NDArray[np.uint8]:
    """`figure` as uint8 of shape (700, 1000, 3)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure(log))
    canvas.figure.set_dpi(100)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba(), np.uint8)  # type: ignore[no-untyped-call]
    return pixels[:, :, :3].copy()


def _occupancy(axes: Axes, line: Timeline) -> None:
    from matplotlib.patches import Patch

    by = rows(line.nodes, FEW_ROWS)
    if each := by.single and len(line.stays) <= FEW_STAYS:
        _bars(axes, line, by)
    else:
        by = rows(line.nodes, TALL)
        _shades(axes, line, by)
    if line.gaps:
        mark = Patch(facecolor=GONE, edgecolor="0.6", hatch=HATCH if each else None, label="not there, or down")
        axes.legend(handles=[mark], fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
    axes.set_ylim(len(by.names), 0)
    _sides(axes, line, by)


def _bars(axes: Axes, line: Timeline, by: Rows) -> None:
    """A bar for each stay of a job on neighbouring accelerators; shares and MIG instances are parts of a row."""
    from matplotlib import colormaps
    from matplotlib.collections import PolyCollection

    scale, colours, slots = line.scale[0], colormaps["tab20"], _Slots(line)
    boxes, faces = [], []
    for stay in sorted(line.stays, key=lambda stay: stay.begin):
        for low, high in _joined(sorted(slots.of(stay, by))):
            boxes.append(_box(stay.begin * scale, stay.end * scale, low, high))
            faces.append(colours(stay.job * 7 % 20))
    edge = 0.4 if len(boxes) < 2000 else 0
    axes.add_collection(PolyCollection(boxes, facecolors=faces, edgecolors="white", linewidths=edge))
    away = [
        _box(begin * scale, end * scale, low, high)
        for accelerators, begin, end in line.gaps
        for low, high in _joined(sorted((float(by.of[a]), by.of[a] + 1.0) for a in accelerators))
    ]
    axes.add_collection(PolyCollection(away, facecolors=GONE, edgecolors="0.6", linewidths=0, hatch=HATCH))


def _box(x0: float, x1: float, low: float, high: float) -> list[tuple[float, float]]:
    return [(x0, low), (x1, low), (x1, high), (x0, high)]


class _Slots:
    """Where in its row a stay is drawn: all of it, a MIG instance's slots, or the lowest part that is free."""

    def __init__(self, line: Timeline) -> None:
        self._cuts: dict[str, list[Any]] = {}
        for cut in line.cuts:
            self._cuts.setdefault(cut.accelerator, []).append(cut)
        self._shared: dict[str, list[tuple[float, float, float]]] = {}

    def of(self, stay: Stay, by: Rows) -> Iterator[tuple[float, float]]:
        """(low, high) on the axis, for each accelerator."""
        for _, accelerators in stay.placement:
            for name in accelerators:
                low, high = (0.0, 1.0) if stay.share == 1 else self._part(name, stay)
                row = by.of[name.partition("#")[0]]
                yield row + low, row + high

    def _part(self, name: str, stay: Stay) -> tuple[float, float]:
        whole, _, instance = name.partition("#")
        if instance:
            spans = (cut.instances for cut in self._cuts.get(whole, ()) if cut.begin <= stay.begin < cut.end)
            return next((span[name] for span in spans if name in span), (0.0, 1.0))
        there = [one for one in self._shared.get(name, ()) if one[2] > stay.begin]
        edges = [0.0, *(high for _, high, _ in there)]
        fits = (
            low for low in sorted(edges) if not any(a < low + stay.share - 1e-9 and b > low + 1e-9 for a, b, _ in there)
        )
        low = min(next(fits, 0.0), 1 - stay.share)
        self._shared[name] = [*there, (low, low + stay.share, stay.end)]
        return low, low + stay.share


def _joined(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Neighbouring spans as one: [(0, 1), (1, 2), (5, 6)] -> [(0, 2), (5, 6)]."""
    found: list[tuple[float, float]] = []
    for low, high in spans:
        if found and found[-1][1] == low:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def _shades(axes: Axes, line: Timeline, by: Rows) -> None:
    """Each row by how much of it is in use, in the mean over short spans of time; grey while it is away."""
    image = axes.imshow(
        np.ma.masked_where(absence(line, by, BINS) > 0.5, occupancy(line, by, BINS)),
        cmap=_greyed(),
        aspect="auto",
        vmin=0,
        vmax=1,
        interpolation="nearest",
        extent=(0, line.until * line.scale[0] or 1.0, len(by.names), 0),
    )
    bar = axes.figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03, ticks=[0, 0.5, 1])
    bar.set_label("part in use", fontsize=8)
    bar.ax.tick_params(labelsize=8)


def _greyed() -> Any:
    from matplotlib import colormaps

    return colormaps["Blues"].with_extremes(bad=GONE)


def _sides(axes: Axes, line: Timeline, by: Rows) -> None:
    """Names of rows while they can be read, and the borders of nodes."""
    nodes = [node for node in line.nodes if node.accelerators]
    if not by.single:
        axes.set_ylabel("node" if len(by.names) == len(nodes) else "nodes, several a row")
        _name(axes, by.names, [row + 0.5 for row in range(len(by.names))])
        return
    edges = np.cumsum([0] + [len(node.accelerators) for node in nodes]).tolist()
    axes.set_ylabel("accelerator")
    if len(nodes) == 1:
        _name(axes, [str(row) for row in range(edges[-1])], [row + 0.5 for row in range(edges[-1])])
        axes.set_ylabel(f"accelerator of {nodes[0].id}")
    elif len(nodes) <= 40:
        for edge in edges[1:-1]:
            axes.axhline(edge, color="0.35", linewidth=0.6)
        _name(axes, [node.id for node in nodes], [(low + high) / 2 for low, high in pairwise(edges)])
        axes.set_ylabel("node, a row for each accelerator")


def _name(axes: Axes, names: list[str], at: list[float]) -> None:
    """Names rows, not more than can be read."""
    every = -(-len(names) // READABLE)
    axes.set_yticks(at[::every], names[::every], fontsize=8)


def _steps(axes: Axes, line: Timeline, level: npt.NDArray[np.float64], colour: str, label: str, **style: Any) -> None:
    """A level over time: step by step, or as means of short spans where there are too many steps to see."""
    times, values = line.times, level
    if len(times) > 2 * BINS:
        times, values = np.linspace(0.0, line.until, BINS + 1), means(line, level, BINS)
        values = np.append(values, values[-1])
    axes.step(times * line.scale[0], values, where="post", color=colour, linewidth=1.1, label=label, **style)


def _queue(axes: Axes, line: Timeline) -> None:
    from matplotlib.ticker import MaxNLocator

    _steps(axes, line, line.waiting, "tab:red", "jobs without a place")
    if line.back.any():
        _steps(axes, line, line.back, "tab:orange", "of them held back")
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_ylabel("jobs")


def _use(axes: Axes, line: Timeline) -> None:
    from matplotlib.ticker import MaxNLocator

    _steps(axes, line, line.up, "0.5", "there", linestyle="--")
    _steps(axes, line, line.used, "tab:blue", "in use")
    if not np.isnan(line.busy).all():
        _steps(axes, line, line.busy, "tab:green", "measured busy")
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_ylabel("accelerators")


def _power(axes: Axes, line: Timeline) -> None:
    from matplotlib.ticker import MaxNLocator

    size, unit = next((one for one in ((MEGA, "MW"), (KILO, "kW")) if np.nanmax(line.watts) >= one[0]), (1.0, "W"))
    _steps(axes, line, line.watts / size, "tab:purple", "drawn from the grid")
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_ylabel(unit)
