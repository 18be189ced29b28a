"""The placements that fragmentation gradient descent was published beside, as grades for `envs.graded.Graded`.

Weng et al., USENIX ATC 2023, sec. 6.1; the scores are those of the score plug-ins in the repository of the paper
(hkust-adsl/kubernetes-scheduler-simulator). All but one score nodes with whole numbers of 0 to 100, so equals are
frequent: the first node is taken then, as the scheduler there is changed to do. Within a node a share goes to the
accelerator with the least left that is enough, but for Random and FGD, which choose as they choose nodes.

The scales are of nodes with at most 128 CPUs and 8 accelerators; CPUs that nobody counted are as many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from ..envs.graded import Grade
from ..envs.room import Floats, Room, needs
from ..envs.shares import WHOLE, amount
from ..envs.survey import Bools, Ints, Survey
from ..policies.fgd import Gradient
from ..policies.fragmentation import Workload
from ..traces.job import Job

CPUS, ACCELERATORS = 128_000, 8_000
"""Thousandths that the largest node has."""


class Random:
    """Any node that has room, and any accelerator on it."""

    def __init__(self, chance: np.random.Generator) -> None:
        self.chance = chance

    def __call__(self, job: Job, count: int, survey: Survey, able: Bools) -> Floats:
        """Lots; of accelerators that are free as a whole, the first stands for all and draws for all."""
        nodes = self.chance.random(len(able))
        if able.ndim == 1:
            return nodes
        lots, free = self.chance.random(able.shape), survey.left == WHOLE
        best = np.where(free, lots, 1.0).min(1)
        return nodes[:, None] + 1e-9 * np.where(free, best[:, None], lots)


def dot_product(job: Job, _: int, survey: Survey, able: Bools) -> Floats:
    """Least where what is free is least like what the job asks for, as vectors of CPUs and accelerators (Tetris)."""
    cpus, free = _free(job, survey)
    product = cpus * _cpus(job) / CPUS**2 + free * amount(job) / ACCELERATORS**2
    return _tied(np.trunc(100 * (1 - product / 2)), survey, able)


def best_fit(job: Job, _: int, survey: Survey, able: Bools) -> Floats:
    """Least where the least is left, CPUs and accelerators weighing the same."""
    cpus, free = _free(job, survey)
    left = 0.5 * (cpus - _cpus(job)) / CPUS + 0.5 * (free - amount(job)) / ACCELERATORS
    return _tied(np.trunc(100 * (1 - left)), survey, able)


def packing(job: Job, count: int, survey: Survey, able: Bools) -> Floats:
    """First accelerators that are shared, the fullest; then free ones of nodes in use; then nodes that are idle."""
    if not job.gang:
        return _tied(np.zeros(len(able)), survey, able)
    idle = survey.whole == survey.size
    used = np.full(len(able), 50.0 - count)
    if able.ndim == 2:
        tightest = np.where(able, survey.left, WHOLE).min(1)
        used = np.where(tightest < WHOLE, 100 - tightest // 10 // 10, used)
    return _tied(np.where(idle, np.maximum(33 - survey.size, survey.size), used), survey, able)


class Clustering:
    """Nodes with jobs of the same size alone, then with some of it, then idle ones, then the rest; the fullest first.

    Sizes are a share, one accelerator, two and so on; all gangs that no node holds are one. It has to be told who
    stands where (`stands`).
    """

    def __init__(self, room: Room) -> None:
        self._there = np.zeros((len(room.bays), 2 + max(room.largest.values(), default=0)), np.bool_)

    def stands(self, job: Job, position: int) -> None:
        """Notes that a job has a place in a bay."""
        self._there[position, self._size(job)] = True

    def __call__(self, job: Job, count: int, survey: Survey, able: Bools) -> Floats:
        """By quarters of the scale."""
        if not job.gang:
            return _tied(np.zeros(len(able)), survey, able)
        sizes, same = self._there.sum(1), self._there[:, self._size(job)]
        quarter = np.where(same, np.where(sizes == 1, 3, 2), np.where(sizes == 0, 1, 0))
        return _tied(25 * (ACCELERATORS - survey.left.sum(1)) // ACCELERATORS + 25 * quarter, survey, able)

    def _size(self, job: Job) -> int:
        return 0 if job.share < 1 else min(job.gang, self._there.shape[1] - 1)


def _lean(pods: Iterable[Job]) -> Workload:
    """The expected pods without host memory, which the published code leaves out of account."""
    return Workload.of(replace(pod, host_memory=None) for pod in pods)


RIVALS: dict[str, Callable[[Sequence[Job], Room, np.random.Generator], Grade]] = {
    "Random": lambda *given: Random(given[-1]),
    "DotProd": lambda *_: dot_product,
    "GpuClustering": lambda _, room, __: Clustering(room),
    "GpuPacking": lambda *_: packing,
    "BestFit": lambda *_: best_fit,
    "FGD": lambda pods, room, _: Gradient(_lean(pods), room),
    "FGD with memory": lambda pods, room, _: Gradient(Workload.of(pods), room),
    "FGD unrounded": lambda pods, room, _: Gradient(_lean(pods), room, None),
}
"""Name -> what makes its grade for the pods that are expected in an empty room, and a source of chance. The names are
those of the paper's figures; two more tell what host memory and the rounding of FGD's scores do."""


def _free(job: Job, survey: Survey) -> tuple[Floats, Floats]:
    """Thousandths of CPUs and of accelerators: of each node for a job without accelerators, of each bay for others."""
    left, cpus = survey.left.sum(1), np.minimum(survey.cpus, CPUS)
    if job.gang:
        return cpus[survey.host], left.astype(np.float64)
    return cpus, np.bincount(survey.host, left, len(survey.cpus)).astype(np.float64)


def _cpus(job: Job) -> int:
    return needs(job, max(job.gang, 1))[0]


def _tied(score: Floats | Ints, survey: Survey, able: Bools) -> Floats:
    """Highest score first, then the first node, then the accelerator with the least left."""
    order = np.arange(len(able), dtype=np.float64)
    if able.ndim == 2:
        return -score[:, None] + (order[:, None] + survey.left / (2 * WHOLE)) / (len(able) + 1)
    found: Floats = -score + order / (len(able) + 1)
    return found
