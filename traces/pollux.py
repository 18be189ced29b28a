"""Pollux' workloads (Qiao et al., OSDI 2021): elastic jobs of six models, whose run times follow from measured tables.

`name,time,application,num_replicas,batch_size`. Times are seconds. A folder for each application holds
`validation-BATCH.csv` (steps taken after each epoch, up to the target metric), `placements.csv` and `scalability.csv`
(seconds a step on AWS g4dn.12xlarge, of four T4).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .gather import gather, stem
from .job import Job, Trace
from .report import LoadReport
from .rows import Row, read_csv
from .trouble import BadInput, nearest

COLUMNS = ("name", "time", "application", "num_replicas", "batch_size")
NODE = 4
"""Accelerators of a node."""
MOST = 64
"""Replicas at most, in Pollux' simulator (`get_pollux_job_info`)."""
ALONE = ("ncf",)
"""Applications that Pollux never gives more than one accelerator (`get_pollux_job_info`)."""
LARGEST = {"yolov3": 8}
"""Samples on an accelerator at most, where they are fewer than were measured (`APPLICATIONS`)."""


def load(path: Path, *, tables: str = "") -> Trace:
    """Reads a workload, plain or gzipped.

    A run time is what the work takes on `num_replicas` T4, four to a node, at `batch_size`: steps to the last epoch of
    the validation table x seconds a step, with gradients accumulated where the batch does not fit. Jobs are elastic:
    `min_gang` 1, `max_gang` as in Pollux' simulator, min(64, largest batch / smallest on an accelerator), 1 for ncf,
    and never below `num_replicas`. A job whose placement and batch were not measured is dropped and counted. The
    application is the profile. Ids are row numbers, from 1.

    What is left out: Pollux adapts the batch size to the gang, and the statistical efficiency of each epoch with it.
    Here a resized job keeps its batch, and how much faster it is, is for the world to say: `[laws.speed]` with
    `reference = "T4"` and `profiles` the same folder.

    Args:
        path: the workload.
        tables: the folder simulator/traces; by default that of the repository in which the workload lies.

    Raises:
        BadInput: a row that cannot be read, with file, line and column; no tables; an application without one.
    """
    folder = Path(tables) if tables else path.absolute().parents[2] / "simulator" / "traces"
    report = LoadReport(str(path), "pollux", facts={"kind": "t4"})
    known: dict[str, Application] = {}
    jobs, durations = list[Job](), dict[int, float]()
    for row in read_csv(path, COLUMNS):
        report.rows += 1
        name = row.text("application")
        if name not in known:
            known[name] = _application(folder, row)
        gang, batch = row.whole("num_replicas", least=1), row.whole("batch_size", least=1)
        run = known[name].seconds(gang, batch)
        if run is None:
            report.dropped["placement and batch size were not measured"] += 1
            continue
        jobs.append(_job(row, report.rows, gang, known[name].most))
        durations[report.rows] = run
    return gather(report, jobs, durations, stem(path.name))


@dataclass(frozen=True, slots=True)
class Application:
    """What was measured of one model.

    Attributes:
        name: of the application.
        steps: batch size -> steps to the target.
        paces: (nodes, accelerators) -> rows of (samples on each accelerator, seconds a step, of these to synchronise).
    """

    name: str
    steps: dict[int, float]
    paces: dict[tuple[int, int], list[tuple[float, float, float]]]

    @property
    def smallest(self) -> int:
        """Samples on an accelerator at least."""
        return int(min(batch for rows in self.paces.values() for batch, _, _ in rows))

    @property
    def largest(self) -> int:
        """Samples on an accelerator at most."""
        return LARGEST.get(self.name, int(max(batch for rows in self.paces.values() for batch, _, _ in rows)))

    @property
    def most(self) -> int:
        """Accelerators at most."""
        return 1 if self.name in ALONE else min(MOST, max(self.steps) // self.smallest)

    def seconds(self, gang: int, batch: int) -> float | None:
        """The whole run on so many accelerators at this batch size; None if it was not measured."""
        rows = self.paces.get((math.ceil(gang / NODE), gang))
        if rows is None or not min(self.steps) <= batch <= max(self.steps):
            return None
        passes = math.ceil(math.ceil(batch / gang) / self.largest)
        if gang == 1 and batch > min(self.steps):
            passes = max(2, passes)  # as Pollux does on a single accelerator, to measure its gradients' noise
        each = math.ceil(math.ceil(batch / gang) / passes)
        sizes, step, sync = np.array(sorted(rows)).T
        if not sizes[0] <= each <= sizes[-1]:
            return None
        whole, waiting = np.interp(each, sizes, step), np.interp(each, sizes, sync)
        return float(self._steps(batch) * (whole + (passes - 1) * (whole - waiting)))

    def _steps(self, batch: int) -> float:
        """Steps to the target, linear between the batch sizes that were run."""
        return float(np.interp(batch, sorted(self.steps), [self.steps[size] for size in sorted(self.steps)]))


def _application(folder: Path, row: Row) -> Application:
    name = row.text("application")
    here = folder / name
    if not name.isidentifier() or not (here / "placements.csv").is_file():
        found = [one.parent.name for one in folder.glob("*/placements.csv")]
        if not found:
            raise BadInput(
                f"{row.path}: a Pollux workload has no run times, and {folder} has no APPLICATION/placements.csv; "
                "write pollux:WORKLOAD,tables=FOLDER to say where simulator/traces is"
            )
        raise row.bad("application", f"{name!r} has no tables in {folder}.{nearest(name, found)}")
    paces: defaultdict[tuple[int, int], list[tuple[float, float, float]]] = defaultdict(list)
    for shape, pace in (*_placements(here / "placements.csv"), *_scalability(here / "scalability.csv")):
        paces[shape].append(pace)
    return Application(name, dict(_epochs(here)), dict(paces))


def _epochs(folder: Path) -> Iterator[tuple[int, float]]:
    """(batch size, steps taken at the end of the last epoch)."""
    for path in folder.glob("validation-*.csv"):
        if (batch := path.stem.removeprefix("validation-")).isdecimal():
            yield int(batch), max(row.number("iteration", least=0) for row in read_csv(path, ("iteration",)))


def _placements(path: Path) -> Iterator[tuple[tuple[int, int], tuple[float, float, float]]]:
    """Rows of gangs that fill their nodes: a placement is a digit for each node, the fewest first."""
    for row in read_csv(path, ("placement", "local_bsz", "step_time", "sync_time")):
        nodes = row.text("placement")
        if not nodes.isdecimal() or "0" in nodes:
            raise row.bad("placement", f"{nodes!r} is not a digit from 1 to 9 for each node")
        gang = sum(map(int, nodes))
        if sorted(nodes) == sorted(str(min(NODE, gang - before)) for before in range(0, gang, NODE)):
            yield (len(nodes), gang), _pace(row)


def _scalability(path: Path) -> Iterator[tuple[tuple[int, int], tuple[float, float, float]]]:
    if path.is_file():
        for row in read_csv(path, ("num_nodes", "num_replicas", "local_bsz", "step_time", "sync_time")):
            yield (row.whole("num_nodes", least=1), row.whole("num_replicas", least=1)), _pace(row)


def _pace(row: Row) -> tuple[float, float, float]:
    return row.number("local_bsz", least=1), row.number("step_time", least=0), row.number("sync_time", least=0)


def _job(row: Row, number: int, gang: int, most: int) -> Job:
    return Job(
        id=number,
        submit=row.number("time", least=0),
        gang=gang,
        profile=row.text("application"),
        name=row.text("name") or None,
        min_gang=1,
        max_gang=max(gang, most),
    )
