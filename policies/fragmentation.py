"""How fragmented free accelerators are: how many of them jobs that may come cannot use.

Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX ATC
2023, sec. 3. To a job m of the expected workload M, that comes with probability p_m, a node's fragment is

    F_n(m) = all that is free of the node's accelerators, if m cannot stand there: too few or too small free parts, CPUs
             or memory, another kind; or if it wants no accelerator at all,
           = what is free of those of which less is left than m wants of one, if it can,

and F_n(M) = sum over m of p_m F_n(m). Together: what is free, less what the expected job finds usable. Accelerators of
one kind on one node count as the paper's node.

Beyond the paper: host memory counts like CPUs (the published code leaves it out), and a gang that is wider than its
kind's largest node wants, of one node, the whole of the largest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..envs.room import Floats, Room, needs
from ..envs.shares import thousandths
from ..envs.survey import Bools, Ints, Survey
from ..traces.job import Job

POPULAR = 0.95
"""The commonest shapes that make up this part of the jobs stand for all, as in the published experiments."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The jobs that are expected.

    Attributes:
        jobs: one of each shape.
        weights: the part of the jobs that have it; they add up to 1.
    """

    jobs: tuple[Job, ...]
    weights: tuple[float, ...]

    @classmethod
    def counted(cls, jobs: Sequence[Job], counts: Sequence[float], popular: float = POPULAR) -> Workload:
        """Of shapes and how often they came: the commonest, until they make up `popular` of all."""
        order = sorted(range(len(jobs)), key=lambda at: -counts[at])
        sums = np.cumsum([counts[at] for at in order])
        kept = order[: int(np.searchsorted(sums, popular * sums[-1] * (1 - 1e-12))) + 1] if order else []
        total = sum(counts[at] for at in kept)
        return cls(tuple(jobs[at] for at in kept), tuple(counts[at] / total for at in kept))

    @classmethod
    def of(cls, jobs: Iterable[Job], popular: float = POPULAR) -> Workload:
        """Of these jobs."""
        kinds: dict[object, list[Job]] = {}
        for job in jobs:
            kinds.setdefault(job.shape, []).append(job)
        return cls.counted([one[0] for one in kinds.values()], [len(one) for one in kinds.values()], popular)


@dataclass(frozen=True, slots=True)
class _Wants:
    """What the expected jobs that may stand in one group want there. All of shape (jobs,) but `sizes`."""

    sizes: Ints
    size: Ints
    count: Ints
    cpus: Floats
    memory: Floats
    weight: Floats


class Fragments:
    """What the expected jobs cannot use, on the accelerators of one cluster.

    Args:
        workload: the expected jobs.
        room: of the cluster; which of its groups take a job is read, what is free is not.
    """

    def __init__(self, workload: Workload, room: Room) -> None:
        self.group = np.array([room.kinds.index(bay.group) for bay in room.bays], np.intp)
        self._wants = [_wants(workload, room, group) for group in room.kinds]

    def __call__(self, rows: Ints, left: Ints, cpus: Floats, memory: Floats) -> Floats:
        """F_n(M) of bays in these states, in thousandths of an accelerator.

        Args:
            rows: whose they are. Shape (n,).
            left: thousandths free of each accelerator. Shape (n, widest).
            cpus: thousandths free on its node. Shape (n,).
            memory: bytes free on its node. Shape (n,).
        """
        found: Floats = left.sum(1).astype(np.float64)
        groups = self.group[rows]
        for group, wants in enumerate(self._wants):
            mine = np.flatnonzero(groups == group)
            if len(mine) and len(wants.weight):
                found[mine] -= _usable(wants, left[mine], cpus[mine], memory[mine])
        return found

    def of(self, survey: Survey) -> Floats:
        """F_n(M) of every bay as it is, in thousandths of an accelerator. Shape (bays,)."""
        return self(np.arange(len(survey.bays)), survey.left, survey.cpus[survey.host], survey.memory[survey.host])


def _wants(workload: Workload, room: Room, group: str) -> _Wants:
    able = [
        (job, weight)
        for job, weight in zip(workload.jobs, workload.weights, strict=True)
        if job.gang and group in room.accepted(job)
    ]
    counts = [min(job.gang, room.largest[group]) for job, _ in able]
    loads = np.array([needs(job, count) for (job, _), count in zip(able, counts, strict=True)], np.float64)
    loads = loads.reshape(-1, 2)
    sizes, size = np.unique(np.array([thousandths(job.share) for job, _ in able], np.int64), return_inverse=True)
    weights = np.array([weight for _, weight in able], np.float64)
    return _Wants(sizes, size, np.array(counts, np.int64), loads[:, 0], loads[:, 1], weights)


def _usable(wants: _Wants, left: Ints, cpus: Floats, memory: Floats) -> Floats:
    """Thousandths that the expected job can use, in each state. Shape (n,)."""
    large: Bools = left[:, None, :] >= wants.sizes[:, None]
    count, free = large.sum(2), (large * left[:, None, :]).sum(2)
    able = (count[:, wants.size] >= wants.count) & (cpus[:, None] >= wants.cpus) & (memory[:, None] >= wants.memory)
    found: Floats = (able * free[:, wants.size]) @ wants.weight
    return found
