"""Helios' virtual clusters, recorded and simulated: a month of utilisation and queue under static quotas.

Each of the 16 clusters of Helios' Earth (Hu et al., SC 2021) is a tenant with its own quota, which neither borrows nor
lends. Its jobs are generated, for the recorded ones are not public by cluster: like Philly's, as many as make its
recorded utilisation. So the means of utilisation are put in; its shape, and the queue, are what comes out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..envs.harsh import HarshWorld
from ..envs.log import Log
from ..envs.nodes import parse
from ..envs.session import Policy, Session
from ..envs.tenants import Tenant, Tenants
from ..envs.vocabulary import BACK, Start, Stopped, Submitted
from ..traces.job import Job, Trace
from ..traces.rows import read_csv
from ..traces.synthetic import generate
from ..traces.trouble import BadInput

Floats = npt.NDArray[np.float64]

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
SUFFIX = ".cluster_sequence_vc.csv.gz"
NODE = 8
"""Accelerators of Helios' nodes."""
LONGEST = 7 * DAY
"""Run times are cut here: Philly's are so heavy that no month has their mean."""
SAMPLE = 20_000
"""Jobs by which the generator's load is told."""


@dataclass(frozen=True, slots=True)
class Month:
    """What one cluster looked like, minute by minute.

    Attributes:
        capacity: accelerators.
        used: part of them that jobs hold. Shape (minutes,).
        waiting: accelerators that jobs without a place ask for. Shape (minutes,).
        running: jobs. Shape (minutes,).
    """

    capacity: int
    used: Floats
    waiting: Floats
    running: Floats

    @property
    def queue(self) -> float:
        """Part of the minutes in which somebody waits."""
        return float((self.waiting > 0).mean())

    @property
    def gang(self) -> float:
        """Accelerators of a running job, on average; NaN if none ever runs."""
        return float(self.used.sum() * self.capacity / self.running.sum()) if self.running.any() else float("nan")

    def first(self, days: float) -> Month:
        """Its first days."""
        minutes = round(days * DAY / MINUTE)
        return Month(self.capacity, self.used[:minutes], self.waiting[:minutes], self.running[:minutes])

    def likeness(self, hours: int) -> float:
        """Autocorrelation of the utilisation after so many hours; NaN if it never changes."""
        rest, lag = self.used - self.used.mean(), hours * 60
        power = float(rest @ rest) / len(rest)
        return float((rest[:-lag] * rest[lag:]).mean()) / power if power else float("nan")


def recorded(folder: Path) -> dict[str, Month]:
    """The clusters of Helios' Earth in May 2020, by name. Raises BadInput."""
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    if not paths:
        raise BadInput(f"{folder}: has no *{SUFFIX}; give the folder helios-earth-vc")
    return {path.name.removesuffix(SUFFIX): _month(path) for path in paths}


def _month(path: Path) -> Month:
    columns = ("total_gpu_num", "running_gpu_num", "pending_gpu_num", "running_gpujob_num")
    rows = np.array([[row.number(column, 0) for column in columns] for row in read_csv(path, columns)])
    return Month(int(rows[0, 0]), rows[:, 1] / rows[:, 0], rows[:, 2], rows[:, 3])


@dataclass(frozen=True, slots=True)
class Offer:
    """The jobs of one cluster.

    Attributes:
        jobs: of this tenant.
        durations: seconds, one for each job.
        stretch: what the generator's run times were multiplied by to make the load exact.
    """

    jobs: tuple[Job, ...]
    durations: tuple[float, ...]
    stretch: float


def offer(name: str, month: Month, seconds: float, seed: int, even: bool = False) -> Offer:
    """Jobs like Philly's that offer a cluster, in so many seconds, the load that it was recorded with.

    With `even` the same jobs come at random moments, one by one and at all hours alike, instead of in bursts.
    """
    shape = {"largest": float(month.capacity), "longest": LONGEST, "holes": 0.0}
    sample = generate("philly", SAMPLE, seed, **shape)
    wanted = float(month.used.mean()) * month.capacity * seconds
    count = wanted / _work(sample.jobs, sample.durations) * SAMPLE
    rate = max(count, 1.0) / seconds / (SAMPLE / sample.jobs[-1].submit)
    drawn = generate("philly", int(3 * count) + 50, seed + 1, rate=rate, **shape)
    jobs = tuple(replace(job, tenant=name) for job in drawn.jobs if job.submit < seconds)
    if even:
        submits = np.random.default_rng(seed).uniform(0, seconds, len(jobs)).tolist()
        jobs = tuple(replace(job, submit=submit) for job, submit in zip(jobs, submits, strict=True))
    stretch = wanted / _work(jobs, drawn.durations) if jobs else 1.0
    return Offer(jobs, tuple(drawn.durations[job.id] * stretch for job in jobs), stretch)


def _work(jobs: tuple[Job, ...], durations: Mapping[int, float]) -> float:
    return sum(job.gang * durations[job.id] for job in jobs)


def trace_of(offers: Mapping[str, Offer]) -> Trace:
    """All clusters' jobs in one trace."""
    pairs = [pair for one in offers.values() for pair in zip(one.jobs, one.durations, strict=True)]
    pairs.sort(key=lambda pair: pair[0].submit)
    jobs = tuple(replace(job, id=number) for number, (job, _) in enumerate(pairs, 1))
    return Trace(jobs, {number: run for number, (_, run) in enumerate(pairs, 1)}, "Helios' clusters, Philly's jobs")


def simulated(
    months: Mapping[str, Month], policy: Policy, *, warm: float = 14 * DAY, seed: int = 0, even: bool = False
) -> dict[str, Month]:
    """The same time of each cluster under static quotas, after `warm` seconds that are not looked at."""
    minutes = min(len(month.used) for month in months.values())
    at = warm + np.arange(minutes, dtype=np.float64) * MINUTE
    until = warm + minutes * MINUTE
    offers = {n: offer(n, month, until, 1000 * seed + 2 * k, even) for k, (n, month) in enumerate(months.items())}
    quotas = Tenants(Tenant(name, quota=month.capacity, borrow=0, lend=0) for name, month in months.items())
    nodes = parse(f"{sum(month.capacity for month in months.values()) // NODE}x{NODE}:V100")
    levels = _levels(Session(HarshWorld(trace_of(offers), nodes, tenants=quotas)).play(policy))
    made: dict[str, Month] = {}
    for name, month in months.items():
        used, waiting, running = _sampled(levels.get(name, []), at)
        made[name] = Month(month.capacity, used / month.capacity, waiting, running)
    return made


def _levels(log: Log) -> dict[str, list[tuple[float, int, int, int]]]:
    """Tenant -> (seconds, and by what accelerators held, accelerators waited for and running jobs change)."""
    levels: defaultdict[str, list[tuple[float, int, int, int]]] = defaultdict(list)
    jobs: dict[int, Job] = {}
    for time, entry in log.timed():
        match entry:
            case Submitted(_, job):
                jobs[job.id] = job
                levels[job.tenant or ""].append((time, 0, job.gang, 0))
            case Start(number):
                levels[jobs[number].tenant or ""].append((time, jobs[number].gang, -jobs[number].gang, 1))
            case Stopped(_, number, reason):
                gang = jobs[number].gang
                levels[jobs[number].tenant or ""].append((time, -gang, gang if reason in BACK else 0, -1))
            case _:
                pass
    return dict(levels)


def _sampled(levels: list[tuple[float, int, int, int]], at: Floats) -> Iterator[Floats]:
    """What is held, what is waited for, and how many run, at each of these seconds."""
    rows = np.array([(0.0, 0, 0, 0), *levels])
    index = np.searchsorted(rows[:, 0], at, side="right") - 1
    for column in (1, 2, 3):
        yield np.cumsum(rows[:, column])[index]
