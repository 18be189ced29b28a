"""Power limits: a kind's accelerators taken down a step, or let free."""

from __future__ import annotations

from collections.abc import Iterator

from ..cluster import ClusterView
from ..kinds import kind as facts
from ..vocabulary import Cap
from .offer import CAP, Glance, Offer

STEPS = (1.0, 0.7, 0.55)
"""Parts of the most that a kind draws; below about 0.45 energy rises again (Zeus, NSDI 2023)."""
SAVED = (0.0, 0.14, 0.20)
"""Energy that each step saves, and ..."""
SLOWER = (1.0, 0.95, 0.88)
"""... the pace that it keeps: medians of Zeus' tables of power limits, see `laws/power.toml`."""
SHOWN = 4


def offers(glance: Glance) -> Iterator[Offer]:
    """For each kind of which a draw was measured: the next lower step, and no limit."""
    shown = 0
    for kind, accelerators in _kinds(glance.cluster).items():
        known = facts(kind)
        if known is None or known.tdp is None or shown == SHOWN:
            continue
        now = _step(glance.cluster, accelerators[0], known.tdp)
        for step in {0, min(now + 1, len(STEPS) - 1)} - {now}:
            shown += 1
            yield _offer(glance.cluster, kind, accelerators, known.tdp, now, step)


def _kinds(cluster: ClusterView) -> dict[str, list[str]]:
    """Accelerators whose draw was measured, by kind."""
    found: dict[str, list[str]] = {}
    for accelerator, seen in cluster.meter.seen.items():
        if seen.sample.watts and (kind := cluster.room.kind_of(accelerator)) is not None:
            found.setdefault(kind, []).append(accelerator)
    return found


def _step(cluster: ClusterView, accelerator: str, tdp: float) -> int:
    """The step that comes closest to its limit."""
    part = cluster.estate.caps.get(accelerator, tdp) / tdp
    return min(range(len(STEPS)), key=lambda step: abs(STEPS[step] - part))


def _offer(cluster: ClusterView, kind: str, accelerators: list[str], tdp: float, now: int, step: int) -> Offer:
    watts = None if step == 0 else STEPS[step] * tdp
    draw = sum(cluster.meter.seen[a].sample.watts or 0.0 for a in accelerators)
    more = draw * (SLOWER[step] * (1 - SAVED[step]) / (SLOWER[now] * (1 - SAVED[now])) - 1)
    decisions = tuple(Cap(a, watts) for a in accelerators if cluster.estate.caps.get(a) != watts)
    return Offer(CAP, decisions, key=("cap", kind), before=SLOWER[now], after=SLOWER[step], watts=more)
