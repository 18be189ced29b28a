"""RLScheduler's published cells, to the printed digit; and its unusual rules, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from real import REAL, needs_real

from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Start
from gpuyard.experiments.reproduce_rlscheduler import PUBLISHED, RULES, TABLE, Committed, cell, lublin, rows
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput

FILES = {1: f"swf:{REAL / 'swf' / 'lublin_256.swf.gz'}", 2: f"swf:{REAL / 'swf' / 'lublin_256_new2.gz'}"}
MENDED = {
    (1, False): {"WFP3": 337.34, "UNICEP": 381.71, "SAF": 292.88, "smallest": 304.64, "root": 265.46},
    (1, True): {"WFP3": 126.50, "UNICEP": 103.10, "SAF": 54.00, "smallest": 86.36, "root": 58.39},
    (2, False): {"WFP3": 807.25, "UNICEP": 830.49, "SAF": 714.26, "smallest": 622.18, "root": 697.60},
    (2, True): {"WFP3": 135.12, "UNICEP": 111.19, "SAF": 100.33, "smallest": 192.14, "root": 115.62},
}
"""What an independent simulator of sixty lines found with the waits mended, and for three further rules."""


@needs_real
@pytest.mark.slow
@pytest.mark.parametrize(("trace", "backfill"), list(TABLE))
def test_all_published_cells_are_met_to_the_printed_digit(trace: int, backfill: bool) -> None:
    jobs = lublin(FILES[trace])
    for rule in PUBLISHED:
        found = cell(jobs, rule, backfill, rule in ("WFP3", "UNICEP"))
        assert round(float(np.mean(found)), 2) == TABLE[trace, backfill][rule], rule
    for rule, value in MENDED[trace, backfill].items():
        assert round(float(np.mean(cell(jobs, rule, backfill, False))), 2) == value, rule


def starts(jobs: list[tuple[float, int, float]], rule: str, backfill: bool = False) -> dict[int, float]:
    made = tuple(Job(n, at, gang, estimate=run) for n, (at, gang, run) in enumerate(jobs))
    trace = Trace(made, {n: run for n, (_, _, run) in enumerate(jobs)})
    log = Session(SimWorld(trace, parse("1x256:CPU"))).play(Committed(RULES[rule], backfill))
    return {entry.job: time for time, entry in log.timed() if isinstance(entry, Start)}


def test_who_is_chosen_is_committed_to() -> None:
    """At 1, only the wide one is there to be chosen; the shorter one comes at 2 and would fit, but has to wait."""
    jobs = [(0.0, 200, 100.0), (1.0, 100, 50.0), (2.0, 10, 1.0)]
    assert starts(jobs, "SJF") == {0: 0.0, 1: 100.0, 2: 100.0}


def test_backfilling_is_for_those_who_end_before_the_promise() -> None:
    """1 is promised 100. 2 would end at 100, which is not before; 3 would end at 99."""
    jobs = [(0.0, 200, 100.0), (1.0, 100, 50.0), (2.0, 10, 98.0), (3.0, 10, 96.0)]
    assert starts(jobs, "FCFS", backfill=True) == {0: 0.0, 3: 3.0, 1: 100.0, 2: 100.0}


def test_every_rule_is_played_with_waits_that_are_right_and_five_as_published() -> None:
    assert len(rows()) == 20 + 4 * 6
    assert sum(mistaken for *_, mistaken in rows()) == 8


def test_a_short_trace_is_refused(tmp_path: object) -> None:
    with pytest.raises(BadInput, match="has 50 jobs, and the sequences need"):
        lublin("synthetic:philly,jobs=50")
