"""The jobs of Gavel's evaluation, drawn as its simulator draws them, and the FIFO that it was measured against.

Narayanan et al., OSDI 2020, section 7.3; what is drawn from stands in `reproduce_gavel.toml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from ..envs.throughputs import gavel
from ..policies.crowd import Crowd, Floats
from ..traces.data import beside
from ..traces.job import Job, Trace
from ..traces.trouble import BadInput

CLUSTER = "1x36:K80+1x36:P100+1x36:V100"
"""36 of each kind. As in the published simulation no gang pays for standing apart: each kind is one node."""
KINDS = ("V100", "P100", "K80")
"""Durations are on the first; FIFO prefers them in this order."""


def static(table: Path, count: int, seed: int) -> Trace:
    """So many jobs at second 0, with true estimates: durations are alone on V100.

    A job may stand on every kind on which its type was measured with its gang. Raises BadInput for another table.
    """
    speeds = gavel(table)
    jobs, durations = list[Job](), dict[int, float]()
    for number, (name, gang, seconds) in enumerate(drawn(count, seed)):
        one = speeds.find(name)
        kinds = tuple(kind for kind in KINDS if one and kind in one.near and gang in one.near[kind].gangs)
        if KINDS[0] not in kinds:
            raise BadInput(f"{table}: has no speed of {gang} x '{name}' on V100; give simulation_throughputs.json")
        jobs.append(Job(number, 0.0, gang, kinds=kinds, estimate=seconds, profile=name))
        durations[number] = seconds
    return Trace(tuple(jobs), durations, f"Gavel's static trace: {count} jobs, seed {seed}", estimates="exact")


def drawn(count: int, seed: int) -> Iterator[tuple[str, int, float]]:
    """Yields (job type, gang, seconds) in the order, and by the stream, of the published generator."""
    draws, types = data()["draws"], [pair for family in data()["types"] for pair in _types(family)]
    stream = Random(seed + draws["seed_offset"])
    for _ in range(count):
        part = stream.uniform(0, 1)
        gang = next(size for most, size in draws["gangs"] if part < most)
        bounds = draws["long"] if stream.random() >= 1 - draws["long_part"] else draws["short"]
        minutes = 10 ** stream.uniform(*bounds)
        name, gangs = stream.choice(types)
        while gang > 1 and not gangs:
            name, gangs = stream.choice(types)
        yield name, gang, 60 * minutes


def _types(family: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """(job type, whether it comes in gangs) of a family."""
    for batch in family["batches"]:
        yield f"{family['name']} (batch size {batch})", family["gangs"]
    if not family["batches"]:
        yield family["name"], family["gangs"]


def data() -> dict[str, Any]:
    """What the evaluation drew from, and what it found."""
    return beside(__file__, "reproduce_gavel.toml")


@dataclass(slots=True)
class PublishedFifo:
    """The allocation of FIFO as the published code has it, to be made real in rounds.

    It draws a kind at random, and then gives the job the last kind, by name, on which anything is free: V100 for as
    long as that is so, whether or not there are enough, and what it takes off the kinds with something free is the one
    it drew. So nearly all jobs take turns on the V100, while most of P100 and K80 idle. (scheduler/policies/fifo.py,
    `get_allocation`: a loop's variable is read after the loop.)

    Attributes:
        seed: of what is drawn.
    """

    seed: int
    _stream: Random = field(init=False, repr=False)
    _on: dict[int, int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Begins the stream."""
        self._stream = Random(self.seed)

    def __call__(self, crowd: Crowd) -> Floats:
        """Each job has all its time on one column of the crowd's rates, or none. Columns are kinds by name."""
        rows = {job.id: row for row, job in enumerate(crowd.jobs)}
        free = crowd.capacity.copy()
        line = [key for key in sorted(rows) if key not in self._on]
        for key, column in sorted(self._on.items()):
            if key in rows:
                free[column] -= crowd.gangs[rows[key]]
            else:
                del self._on[key]
                if line and crowd.gangs[rows[line[0]]] <= free[column]:
                    self._give(line.pop(0), column, rows, crowd, free)
        self._serve(line, rows, crowd, free)
        times = np.zeros_like(crowd.rates)
        for key, column in self._on.items():
            times[rows[key], column] = 1.0
        return times

    def _serve(self, line: list[int], rows: Mapping[int, int], crowd: Crowd, free: Floats) -> None:
        usable = [column for column in range(len(free)) if free[column] > 0]
        for key in line:
            able = [column for column in usable if free[column] >= crowd.gangs[rows[key]]]
            if not able:
                return
            lot, column = able[self._stream.randrange(len(able))], usable[-1]
            self._give(key, column, rows, crowd, free)
            if free[column] == 0:
                usable.remove(lot)

    def _give(self, key: int, column: int, rows: Mapping[int, int], crowd: Crowd, free: Floats) -> None:
        if crowd.rates[rows[key], column] > 0:
            self._on[key] = column
            free[column] -= crowd.gangs[rows[key]]
