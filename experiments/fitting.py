"""Which jobs a cluster could never run: said before anything runs, for one that waits for ever tells nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..envs.nodes import Nodes, describe
from ..envs.placement import Place
from ..envs.room import Room
from ..traces.job import Job, Shape, Trace
from ..traces.trouble import BadInput

CURE = "choose a larger --cluster, or --oversized skip"


def fitting(
    trace: Trace,
    nodes: Nodes,
    places: Mapping[str, Place],
    oversized: str = "refuse",
    cure: str = CURE,
    room: Room | None = None,
) -> tuple[Trace, tuple[Job, ...]]:
    """The trace without jobs that an empty cluster could not hold, and those jobs.

    Args:
        trace: of any size; only its distinct shapes are tried.
        nodes: the machines.
        places: name -> placement function that must find a place for every job that stays.
        oversized: "refuse" or "skip".
        cure: what to do about jobs that are refused.
        room: all the room there can be, if that is more than nodes: tenants, MIG instances.

    Raises:
        BadInput: when there are such jobs and they are to be refused (it names the first), or when nothing is left.
    """
    if not trace.jobs:
        raise BadInput(f"trace {trace.name!r} has no jobs; choose another --trace")
    if room is None:
        room = Room(tuple(replace(node, present=True) for node in nodes))
    never = {shape: why for shape, job in _shapes(trace, room).items() if (why := _why(job, room, places))}
    if not never:
        return trace, ()
    out = tuple(job for job in trace.jobs if room.shape(job) in never)
    if oversized == "refuse":
        more = f" (nor can {len(out) - 1:,} others)" if len(out) > 1 else ""
        raise BadInput(
            f"job {out[0].id} needs {wants(out[0])} and can never run on {describe(nodes)}: "
            f"{never[room.shape(out[0])]}{more}; {cure}"
        )
    if len(out) == len(trace):
        raise BadInput(
            f"not one of the {len(trace):,} jobs could ever run on {describe(nodes)}; choose a larger --cluster"
        )
    return trace.of(job for job in trace.jobs if room.shape(job) not in never), out


def wants(job: Job) -> str:
    """What a job asks of a cluster, in words."""
    parts = [f"{job.share:g} of an accelerator" if job.share < 1 else _count(job.gang)]
    if job.kinds and job.gang:
        parts[0] += f" ({' or '.join(job.kinds)})"
    if job.memory is not None:
        parts.append(f"{job.memory / 2**30:,.1f} GiB of memory on each accelerator")
    if job.cpus is not None:
        parts.append(f"{job.cpus:g} CPUs")
    if job.host_memory is not None:
        parts.append(f"{job.host_memory / 2**30:,.1f} GiB of host memory")
    return ", ".join(parts)


def _count(gang: int) -> str:
    return "1 accelerator" if gang == 1 else f"{gang} accelerators"


def _shapes(trace: Trace, room: Room) -> dict[Shape, Job]:
    """One job of each shape, the first."""
    return {room.shape(job): job for job in reversed(trace.jobs)}


def _why(job: Job, room: Room, places: Mapping[str, Place]) -> str:
    """Why an empty cluster could not hold it; nothing if it could."""
    if not room.could_ever(job):
        return "even empty it has too little"
    for name, place in places.items():
        if place(job, room) is None:
            return f"the placement '{name}' finds no place for it even when all is free"
    return ""
