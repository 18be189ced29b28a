"""RLScheduler's published tables of heuristics on the Lublin traces, repeated: `python -m` this module.

Zhang, Dai, He, Bao and Xie, "RLScheduler: An Automated HPC Batch Job Scheduler Using Reinforcement Learning", SC 2020;
the figures are those of its repository's README. Its rules are not the usual ones, and are kept here to the letter:

- Ten sequences of 1,024 consecutive jobs of a trace, each from an empty cluster of 256 processors, to the last end.
- Whoever is chosen is committed to: until it fits nobody else is chosen, however short, and who comes meanwhile waits.
- With backfilling, when the chosen one has to wait it is promised once when it will fit, by the requested times of
  those who run; then, at every arrival or end, whoever fits and would end before that by its requested time starts,
  first come first served. The promise is not renewed, and no processors beyond the chosen one's are counted.
- What happens in one second happens one by one, arrivals before ends.
- WFP3 and UNICEP take the wait of a waiting job to be -1 less its submission, as its scheduled time is -1 then. So the
  published columns rest on a mistake; the corrected ones wait until now.

No run time estimates are in these traces: requested times are the true run times, for all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from math import log2, log10
from multiprocessing import get_context

import click
import numpy as np
from rich.text import Text

from ..envs.cluster import ClusterView
from ..envs.metrics import read
from ..envs.nodes import parse
from ..envs.placement import packed
from ..envs.session import Session
from ..envs.sim import SimWorld
from ..envs.vocabulary import Decision, Start
from ..traces.job import Job, Trace
from ..traces.source import open_trace
from ..traces.trouble import BadInput
from .cores import cores
from .options import command_of, option
from .screen import number, out, print_table, progress
from .shell import ended

STARTS = (1981, 2756, 4299, 8850, 3316, 2714, 5228, 7762, 4022, 7085)
"""Where the sequences begin, positions in a trace of 10,000 jobs: what its repository's seed 1 draws."""
LENGTH, PROCESSORS = 1024, 256
Key = tuple[float, ...]
Score = Callable[[Job, float], Key]
"""A job and its wait in seconds -> whom to choose first, smallest first; equals keep the order of the queue."""


def _request(job: Job) -> float:
    assert job.estimate is not None
    return job.estimate


RULES: dict[str, Score] = {
    "FCFS": lambda job, _: (job.submit,),
    "WFP3": lambda job, wait: (-((wait / _request(job)) ** 3) * job.gang,),
    "UNICEP": lambda job, wait: (-(wait + 1e-15) / (log2(job.gang + 1e-15) * _request(job)),),
    "SJF": lambda job, _: (_request(job), job.submit),
    "F1": lambda job, _: (log10(_request(job)) * job.gang + 870 * log10(job.submit),),
    "SAF": lambda job, _: (_request(job) * job.gang,),
    "smallest": lambda job, _: (job.gang,),
    "root": lambda job, _: (_request(job) ** 0.5 * job.gang,),
    "squared": lambda job, _: (_request(job) ** 2 * job.gang,),
}
"""The five of the table, and four more: smallest area, smallest gang, root of the time times the gang, square of the
time times the gang."""
PUBLISHED = ("FCFS", "WFP3", "UNICEP", "SJF", "F1")
MISTAKEN = ("WFP3", "UNICEP")
TABLE: dict[tuple[int, bool], dict[str, float]] = {
    (1, False): {"FCFS": 7273.77, "WFP3": 19753.53, "UNICEP": 22274.74, "SJF": 277.35, "F1": 258.37},
    (1, True): {"FCFS": 235.82, "WFP3": 133.87, "UNICEP": 307.23, "SJF": 73.31, "F1": 75.07},
    (2, False): {"FCFS": 7842.47, "WFP3": 9523.18, "UNICEP": 11265.31, "SJF": 787.89, "F1": 698.34},
    (2, True): {"FCFS": 247.61, "WFP3": 318.35, "UNICEP": 379.59, "SJF": 91.99, "F1": 148.25},
}
"""(Lublin, backfilled) -> mean bounded slowdown as published."""
LEARNED = {(1, False): 254.67, (1, True): 58.64, (2, False): 724.51, (2, True): 118.79}
"""The published column of RLScheduler itself, which is not repeated here."""


@dataclass
class Committed:
    """Chooses one job, and nobody else until it has started.

    What happens in one moment is looked at one by one, as the published code does, arrivals before ends: between two of
    them somebody may start who would not, had all been seen together.

    Attributes:
        score: whom to choose.
        backfill: let others start that end, by their requested times, before the chosen one was promised its place.
        mistaken: take waits to be -1 less the submission.
    """

    score: Score
    backfill: bool = False
    mistaken: bool = False
    _queue: list[Job] = field(default_factory=list, repr=False)
    _runs: dict[int, tuple[int, float]] = field(default_factory=dict, repr=False)
    _free: int = PROCESSORS
    _chosen: Job | None = field(default=None, repr=False)
    _promise: float = field(default=0.0, repr=False)

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields the chosen one's start, and those who may pass it."""
        now, known = cluster.now, {job.id for job in self._queue}
        for job in [job for job in cluster.pending if job.id not in known]:
            self._queue.append(job)
            yield from self._go_on(cluster, now)
        for key in [key for key in self._runs if key not in cluster.running]:
            self._free += self._runs.pop(key)[0]
            yield from self._go_on(cluster, now)

    def _go_on(self, cluster: ClusterView, now: float) -> Iterator[Decision]:
        """Starts whom it can until somebody has to wait, or nobody is left."""
        while self._queue:
            if self._chosen is None:
                self._queue.sort(key=lambda job: self.score(job, (-1.0 if self.mistaken else now) - job.submit))
                self._chosen = self._queue[0]
                self._promise = self._fits_at(self._chosen)
            if self._chosen.gang > self._free:
                if self.backfill:
                    yield from self._passing(cluster, now)
                return
            job, self._chosen = self._chosen, None
            yield self._start(job, cluster, now)

    def _fits_at(self, job: Job) -> float:
        """When so many processors will be free, by requested times."""
        free, time = self._free, 0.0
        for gang, end in sorted(self._runs.values(), key=lambda run: run[1]):
            free, time = free + gang, end
            if free >= job.gang:
                break
        return time

    def _passing(self, cluster: ClusterView, now: float) -> Iterator[Decision]:
        self._queue.sort(key=lambda job: job.submit)
        for job in [*self._queue]:
            if job.gang <= self._free and now + _request(job) < self._promise:
                yield self._start(job, cluster, now)

    def _start(self, job: Job, cluster: ClusterView, now: float) -> Start:
        self._queue.remove(job)
        self._free -= job.gang
        self._runs[job.id] = job.gang, now + _request(job)
        placement = packed(job, cluster.room)
        assert placement is not None
        return Start(job.id, placement)


def cell(trace: Trace, rule: str, backfill: bool, mistaken: bool) -> list[float]:
    """The mean bounded slowdown of each sequence under a rule. Times are the trace's own: F1 reads them."""
    found = []
    for start in STARTS:
        window = trace.of(trace.jobs[start : start + LENGTH])
        policy = Committed(RULES[rule], backfill, mistaken)
        log = Session(SimWorld(window, parse(f"1x{PROCESSORS}:CPU"))).play(policy)
        found.append(float(read(log).ended.bounded_slowdown.mean()))
    return found


def lublin(spec: str) -> Trace:
    """A trace with its run times as requested times. Raises BadInput if it is too short."""
    from ..traces.estimates import with_estimates

    trace = with_estimates(open_trace(spec), "exact")
    if len(trace) < max(STARTS) + LENGTH:
        raise BadInput(f"{spec}: has {len(trace):,} jobs, and the sequences need {max(STARTS) + LENGTH:,}")
    return trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduce:
    """Repeat RLScheduler's tables of heuristics on Lublin-1 and Lublin-2, to the printed digit, with mended columns."""

    lublin1: str = option(help="Lublin-1, such as swf:lublin_256.swf.")
    lublin2: str = option(help="Lublin-2, such as swf:lublin_256_new2.swf.")
    workers: int | None = option(None, help="Processes; as many as there are cores by default.")
    json: bool = option(False, help="One JSON object on stdout.")


Row = tuple[int, bool, str, bool]
"""Which trace, whether backfilled, the rule, whether its waits are mistaken."""


def rows() -> list[Row]:
    """All that is played: the five as published, then all with waits that are right."""
    both = [(trace, backfill) for trace in (1, 2) for backfill in (False, True)]
    return [
        *((t, b, rule, rule in MISTAKEN) for t, b in both for rule in PUBLISHED),
        *((t, b, rule, False) for t, b in both for rule in RULES if rule in MISTAKEN or rule not in PUBLISHED),
    ]


def reproduce(args: Reproduce) -> dict[Row, list[float]]:
    """Each row's sequences. Raises BadInput for traces that cannot be read."""
    traces = {1: lublin(args.lublin1), 2: lublin(args.lublin2)}
    work = rows()
    jobs = [(traces[trace], rule, backfill, mistaken) for trace, backfill, rule, mistaken in work]
    pool = ProcessPoolExecutor(args.workers or cores(), get_context("spawn"))
    with pool, progress("rules", len(work)) as tell:
        found = {}
        for count, (row, values) in enumerate(zip(work, pool.map(cell, *zip(*jobs, strict=True)), strict=True), 1):
            found[row] = values
            tell(count)
    return found


def told(found: dict[Row, list[float]]) -> list[dict[str, object]]:
    """The table in plain values."""
    return [
        {
            "trace": f"Lublin-{trace}",
            "backfilled": backfill,
            "rule": rule,
            "waits": "as published" if mistaken else "right",
            "slowdown": float(np.mean(values)),
            "published": TABLE[trace, backfill].get(rule) if mistaken or rule not in MISTAKEN else None,
            "sequences": values,
        }
        for (trace, backfill, rule, mistaken), values in found.items()
    ]


def run(args: Reproduce) -> int:
    """Prints the table. 1 if a published cell is not met to the printed digit."""
    table = told(reproduce(args))
    missed = [row for row in table if row["published"] not in (None, round(float(str(row["slowdown"])), 2))]
    if args.json:
        click.echo(json.dumps(table, indent=1))
        return int(bool(missed))
    console = out()
    print_table(console, COLUMNS, table)
    for (trace, backfill), value in LEARNED.items():
        mine = (row for row in table if row["trace"] == f"Lublin-{trace}" and row["backfilled"] is backfill)
        best, how = min(mine, key=_slowdown), "backfilled" if backfill else "strict"
        best_of = f"best rule {best['rule']} {_slowdown(best):.2f}"
        console.print(f"Lublin-{trace} {how}: published RLScheduler {value:.2f}, {best_of}")
    console.print(f"{20 - len(missed)} of 20 published cells are met to the printed digit")
    return int(bool(missed))


def _slowdown(row: dict[str, object]) -> float:
    return float(str(row["slowdown"]))


def _name(row: dict[str, object]) -> Text:
    waits = "" if row["waits"] == "right" else ", waits as published"
    return Text(f"{row['trace']}{', backfilled' if row['backfilled'] else ''}: {row['rule']}{waits}")


COLUMNS: dict[str, Callable[[dict[str, object]], Text]] = {
    "mean bounded slowdown": _name,
    "published": lambda row: Text("" if row["published"] is None else number(float(str(row["published"])), 2)),
    "here": lambda row: Text(number(_slowdown(row), 2)),
}


command = command_of(
    Reproduce,
    run,
    examples="""
    python -m gpuyard.experiments.reproduce_rlscheduler --lublin1 swf:lublin_256.swf --lublin2 swf:lublin_256_new2.swf
    """,
)


if __name__ == "__main__":
    ended(command)
