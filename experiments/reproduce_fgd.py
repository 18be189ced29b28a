"""FGD's published GPU allocation ratios on Alibaba's pods, repeated: `python -m` this module.

Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX ATC
2023, fig. 9(a) and the like; the figures are those of its repository's expected results (`reproduce_fgd.toml`), and so
are the rules:

- All pods of a list in random order, then pods drawn from it with replacement, until they ask for 130 % of the
  cluster's GPUs. They come one by one and never leave. One that fits on no node is dropped, and the next one comes.
- The nodes are put in an order that is drawn once a run: of equals the first is taken (there, names get a drawn
  number in front, and `selectHost` takes the smallest name).
- FGD expects the pods of the list: the commonest shapes that make up 95 % of it.
- The ratio at 100 % is the mean over the arrivals at which what was asked for rounds to 100 % of the GPUs; at 130 %
  alike.

Every pod goes through the ledger, which refuses what cannot be. A seed gives an order and draws of its own, not those
of the published runs: means over seeds are what can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import click
import numpy as np
from rich.text import Text

from ..envs.cluster import Cluster
from ..envs.graded import Graded
from ..envs.nodes import Nodes, parse
from ..envs.shares import WHOLE, amount
from ..envs.vocabulary import Start, Stopped, Submitted
from ..traces.data import beside
from ..traces.gather import stem
from ..traces.job import Job
from ..traces.openb import pods
from ..traces.trouble import BadInput, nearest
from .cores import cores
from .intervals import Interval, Runs, resamples
from .options import command_of, option
from .rivals import RIVALS, Clustering
from .scene import positive
from .screen import number, out, print_table, progress
from .shell import ended

MARKS = (100, 130)
"""Per cent of the GPUs that have been asked for, where the ratio is told."""
RATIO = 1.3
TOLERANCE = 0.5
"""Points by which a mean may be off what was published."""
FIRST = 42
"""The first of the published seeds."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One placement's run with one seed.

    Attributes:
        placement: its name.
        seed: of the pods' order and draws, of the nodes' order, and of Random.
        ratios: per cent of the GPUs that are allocated, at each of `MARKS`.
        pods: how many came.
        refused: how many of them fitted nowhere.
        seconds: that it took.
    """

    placement: str
    seed: int
    ratios: tuple[float, ...]
    pods: int
    refused: int
    seconds: float


def arrivals(jobs: Sequence[Job], capacity: int, chance: np.random.Generator) -> Iterator[Job]:
    """Yields all in random order, then some again, until they ask for 1.3 times the capacity, in thousandths."""
    asked, order = 0, chance.permutation(len(jobs)).tolist()
    for came, at in enumerate(_then(order, chance)):
        asked += amount(jobs[at])
        if asked > RATIO * capacity:
            return
        yield replace(jobs[at], id=came, submit=float(came))


def _then(order: Sequence[int], chance: np.random.Generator) -> Iterator[int]:
    yield from order
    while True:
        yield from chance.integers(len(order), size=1024).tolist()


def play(name: str, jobs: Sequence[Job], nodes: Nodes, seed: int) -> Outcome:
    """Lets the pods come, one by one, to a placement. What it decides goes through the ledger."""
    start, chance = perf_counter(), np.random.default_rng(seed)
    cluster = Cluster([nodes[at] for at in chance.permutation(len(nodes))])
    capacity = cluster.room.size * WHOLE
    stream = [*arrivals(jobs, capacity, chance)]
    grade = RIVALS[name](jobs, cluster.room, chance)
    place, steps, refused = Graded(grade, spans=False), np.zeros((len(stream), 2)), 0
    asked = held = 0
    for job in stream:
        cluster.observe(Submitted(job.submit, job))
        asked += amount(job)
        if placement := place(job, cluster.room):
            cluster.decide(Start(job.id, placement))
            held += amount(job)
            if isinstance(grade, Clustering) and job.gang:
                grade.stands(job, cluster.room.seat[placement[0][1][0]][0])
        else:
            cluster.observe(Stopped(job.submit, job.id, "cancelled"))
            refused += 1
        steps[job.id] = asked, held
    assert held == capacity - WHOLE * cluster.room.spare - sum(cluster.room.left.values()), "the ledger's own count"
    return Outcome(name, seed, _marked(100 * steps / capacity), len(stream), refused, perf_counter() - start)


def _marked(steps: np.typing.NDArray[np.float64]) -> tuple[float, ...]:
    """The second column's mean where the first rounds to each of `MARKS`, or its last value before it gets there."""
    found = []
    for mark in MARKS:
        there = steps[steps[:, 0].round() == mark, 1]
        before = steps[steps[:, 0] < mark, 1][-1:]
        found.append(float((there if len(there) else before).mean()) if len(there) or len(before) else 0.0)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduce:
    """Repeat FGD's GPU allocation ratios on a pod list of Alibaba's trace of 2023, beside the published ones."""

    pods: str = option(help="The pods, such as openb:openb_pod_list_default.csv.gz.")
    nodes: str = option(help="The nodes, such as openb:openb_node_list_gpu_node.csv; any cluster will do.")
    placement: tuple[str, ...] = option((), help="Only this placement. Repeatable; all by default.")
    seeds: int = option(10, help="How many seeds, from 42 on.")
    workers: int | None = option(None, help="Processes; as many as there are cores by default.")
    json: bool = option(False, help="One JSON object on stdout.")

    def __post_init__(self) -> None:
        """Raises BadInput for numbers and names that cannot be."""
        positive("seeds", self.seeds)
        positive("workers", self.workers)
        for name in self.placement:
            if name not in RIVALS:
                raise BadInput(f"no placement '{name}'.{nearest(name, list(RIVALS))}")


def reproduce(args: Reproduce) -> list[Outcome]:
    """All runs, by placement and seed. Raises BadInput for files that cannot be read."""
    jobs, nodes = _pods(args.pods), parse(args.nodes)
    if not any(node.accelerators for node in nodes) or not any(job.gang for job in jobs):
        raise BadInput(f"--pods {args.pods}, --nodes {args.nodes}: a ratio of GPUs needs nodes and pods with some")
    work = [(name, seed) for name in args.placement or RIVALS for seed in range(FIRST, FIRST + args.seeds)]
    names, seeds = zip(*work, strict=True)
    pool = ProcessPoolExecutor(args.workers or cores(), get_context("spawn"))
    with pool, progress("runs", len(work)) as tell:
        found = []
        for outcome in pool.map(play, names, repeat(jobs), repeat(nodes), seeds):
            found.append(outcome)
            tell(len(found))
    return found


def _pods(spec: str) -> tuple[Job, ...]:
    if not spec.startswith("openb:"):
        raise BadInput(f"--pods {spec}: give openb: and a pod list, as in openb:openb_pod_list_default.csv.gz")
    return pods(Path(spec.removeprefix("openb:")))


@dataclass(frozen=True, slots=True)
class Row:
    """A placement, and at each of `MARKS` what was published, None for nothing, and what came out."""

    placement: str
    published: tuple[float | None, ...]
    here: tuple[Interval, ...]


def table(found: Sequence[Outcome], published: Mapping[str, Sequence[float]]) -> list[Row]:
    """Means over seeds with their intervals."""
    rows = []
    for name in dict.fromkeys(outcome.placement for outcome in found):
        values = np.array([outcome.ratios for outcome in found if outcome.placement == name]).T
        draws = resamples(values.shape[1], seed=0)
        here = tuple(Runs.of(one[None], np.ones((len(draws.windows), 1)), draws).mean for one in values)
        rows.append(Row(name, tuple(published.get(name, (None,) * len(MARKS))), here))
    return rows


def run(args: Reproduce) -> int:
    """Prints the table, or one JSON object. 1 if a mean is more than half a point off the published one."""
    found = reproduce(args)
    rows = table(found, beside(__file__, "reproduce_fgd.toml").get(_list(args.pods), {}))
    if args.json:
        document = {
            "pods": _list(args.pods),
            "marks": MARKS,
            "rows": [*map(asdict, rows)],
            "runs": [*map(asdict, found)],
        }
        click.echo(json.dumps(document, indent=1))
    else:
        print_table(out(), _columns(), rows)
    return int(any(_far(row) for row in rows))


def _far(row: Row) -> bool:
    pairs = zip(row.published, row.here, strict=True)
    return any(then is not None and abs(now.value - then) > TOLERANCE for then, now in pairs)


def _list(spec: str) -> str:
    return stem(spec).removeprefix("openb_pod_list_")


def _columns() -> dict[str, Callable[[Row], Text]]:
    columns: dict[str, Callable[[Row], Text]] = {"GPUs allocated, %": lambda row: Text(row.placement)}
    for at, mark in enumerate(MARKS):
        columns[f"published\nat {mark} %"] = partial(_published, at)
        columns[f"here [95 %]\nat {mark} %"] = partial(_here, at)
        columns[f"off by\nat {mark} %"] = partial(_off, at)
    return columns


def _published(at: int, row: Row) -> Text:
    return Text(number(row.published[at], 2))


def _here(at: int, row: Row) -> Text:
    one = row.here[at]
    return Text(f"{one.value:.2f} [{one.low:.2f},{one.high:.2f}]")


def _off(at: int, row: Row) -> Text:
    then = row.published[at]
    return Text("-" if then is None else f"{row.here[at].value - then:+.2f}")


command = command_of(
    Reproduce,
    run,
    examples="""
    python -m gpuyard.experiments.reproduce_fgd --pods openb:openb_pod_list_default.csv --nodes openb:NODES.csv
    python -m gpuyard.experiments.reproduce_fgd --pods openb:PODS.csv.gz --nodes openb:NODES.csv --seeds 2 --json
    """,
)


if __name__ == "__main__":
    ended(command)
