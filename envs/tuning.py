"""How to make the best of the hardware that a job got: precision, compilation, batch size and power limit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from ..traces.data import beside
from ..traces.job import Job
from .kinds import kind as facts
from .profiles import Profiles, builtin
from .vocabulary import Move, Placement, Resize, Start, Tuning

if TYPE_CHECKING:
    from .cluster import ClusterView


def tuning(job: Job, kind: str, profiles: Profiles | None = None) -> Tuning | None:
    """What to tell a job on a kind of accelerator, None if nothing is known to help.

    The fastest precision that was measured for its family, with compilation where that was; a batch size where no
    precision was, and only for a job whose profile is the family's own name, so that its batch is known. The power
    limit is that of Zeus' least cost of energy and time; it slows jobs down by 3 to 10 % in the median.

    Args:
        job: the job.
        kind: of the accelerators that it got.
        profiles: in which its family is found by the name of its profile; the built-in ones if None.
    """
    one = (builtin() if profiles is None else profiles).find(job.profile)
    family = None if one is None else builtin().find(one.name)
    precision = None if family is None else _said("precision", kind, family.name)
    compiled = None if family is None else _said("compile", kind, family.name)
    batch = None if family is None or precision or job.profile != family.name else _said("batch", kind, family.name)
    told = Tuning(
        precision[0] if precision else None,
        True if compiled else None,
        batch[0] if batch else None,
        _watts(kind),
    )
    return None if told == Tuning() else told


Placing = Start | Move | Resize


def with_tuning(decision: Placing, cluster: ClusterView) -> Placing:
    """The same decision with what its job is to be told for the hardware it gets, unless it says so itself.

    One that goes on with the same kind keeps what it was told. One of which nothing is known on its new kind is told
    an empty `Tuning`, so that it forgets what was for the old one.
    """
    kind = _kind(decision.placement, cluster)
    if decision.tuning is not None or kind is None:
        return decision
    match decision:
        case Start(number) if number in cluster.pending:
            return replace(decision, tuning=tuning(cluster.pending[number], kind))
        case Move(number) | Resize(number) if number in cluster.running:
            running = cluster.running[number]
            if kind != _kind(running.placement, cluster):
                return replace(decision, tuning=tuning(running.job, kind) or Tuning())
    return decision


def _kind(placement: Placement, cluster: ClusterView) -> str | None:
    """The kind of the accelerators of a placement; None without any, or for unknown ones."""
    first = next((accelerator for _, some in placement for accelerator in some), None)
    return None if first is None else cluster.room.kind_of(first.partition("#")[0])


@cache
def speedup(told: Tuning | None, profile: str | None, kind: str) -> float:
    """How many times as fast a tuned job is, by what was measured for its family on the kind; 1 where nothing was.

    The power limit is left out: what it does is the law of power's.
    """
    family = builtin().find(profile)
    if told is None or family is None:
        return 1.0
    faster = 1.0
    precision, compiled, batch = (_said(what, kind, family.name) for what in ("precision", "compile", "batch"))
    mixed = precision is not None and told.precision == precision[0]
    if precision is not None and mixed:
        faster *= precision[1]
    if compiled is not None and told.compile and mixed:  # measured on top of mixed precision
        faster *= compiled[0]
    if batch is not None and told.batch == batch[0] and profile == family.name:
        faster *= batch[1]
    return faster


def _table() -> dict[str, Any]:
    return beside(__file__, "tuning.toml")


@cache
def _said(what: str, kind: str, family: str) -> list[Any] | None:
    found: list[Any] | None = _table()[what].get(builtin().kind(kind), {}).get(family)
    return found


@cache
def _watts(kind: str) -> float | None:
    """The power limit of a kind, a part of the most that it draws."""
    known, part = facts(kind), _table()["limit"].get(builtin().kind(kind))
    return None if part is None or known is None or known.tdp is None else float(round(part[0] * known.tdp))
