"""One policy for all Lublin cells: it learns from what nobody is scored on, and a cell is told with its best rule."""

from __future__ import annotations

import numpy as np

from gpuyard.envs.commits import Commits
from gpuyard.envs.scenario import of_cluster
from gpuyard.experiments.lublin import BLOCK, CELLS, Blocks, table, unscored
from gpuyard.experiments.objectives import wanted
from gpuyard.experiments.reproduce_rlscheduler import LENGTH, RULES, STARTS
from gpuyard.traces.estimates import with_estimates
from gpuyard.traces.synthetic import generate

TRACE = with_estimates(generate("lab", 10_000), "exact")


def test_no_scored_job_is_learned_from() -> None:
    rest = {job.id for job in unscored(TRACE).jobs}
    scored = {job.id for start in STARTS for job in TRACE.jobs[start : start + LENGTH]}
    assert not rest & scored
    assert len(rest) + len(scored) == 10_000


def test_windows_are_blocks_of_consecutive_jobs_with_their_own_gaps() -> None:
    """Each of the first block is as wide and as long as one of the trace, and comes as long after the one before."""
    yard = Blocks(TRACE, of_cluster("1x256:CPU", 0.0), Commits(), wanted("slowdown"), 300, stretches=(TRACE,))
    window = yard.window(1, 2)
    assert window.jobs == yard.window(1, 2).jobs
    assert len(window) == 300
    told = [(job.gang, window.durations[job.id]) for job in window.jobs[:BLOCK]]
    whole = [(job.gang, TRACE.durations[job.id]) for job in TRACE.jobs]
    (at,) = (n for n in range(len(whole) - BLOCK) if whole[n : n + BLOCK] == told)
    gaps = np.minimum(np.diff([job.submit for job in TRACE.jobs[at : at + BLOCK]]), 86_400.0)
    np.testing.assert_allclose(np.diff([job.submit for job in window.jobs[:BLOCK]]), gaps)


def test_half_of_the_windows_blur_run_times() -> None:
    yard = Blocks(TRACE, of_cluster("1x256:CPU", 0.0), Commits(), wanted("slowdown"), 200, stretches=(TRACE,))
    exact = [all(w.durations[j.id] == j.estimate for j in w.jobs) for w in (yard.window(5, n) for n in range(40))]
    assert 10 <= sum(exact) <= 30


def test_a_row_tells_the_best_rule_and_how_each_kind_of_policy_stands_to_it() -> None:
    """SJF is best with 10; one seed has 9 and the other 12 in every sequence."""
    found = {(cell, rule): [10.0 if rule == "SJF" else 20.0] * len(STARTS) for cell in CELLS for rule in RULES}
    found |= {(cell, "a"): [9.0] * len(STARTS) for cell in CELLS}
    found |= {(cell, "b"): [12.0] * len(STARTS) for cell in CELLS}
    rows = table(found, {"es": ["a"], "ppo": ["a", "b"]})
    assert [(row["trace"], row["backfilled"], row["estimates"]) for row in rows] == [
        (f"Lublin-{trace}", backfill, known) for trace, backfill, known in CELLS
    ]
    for row in rows:
        assert row["best_rule"] == "SJF"
        assert (row["es"]["slowdown"], row["es"]["ratio"], row["es"]["verdict"]) == (9.0, 0.9, "win")
        assert (row["ppo"]["slowdown"], row["ppo"]["ratio"], row["ppo"]["seeds"]) == (10.5, 1.05, [9.0, 12.0])
