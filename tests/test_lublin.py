"""One policy for all Lublin cells: it learns from what nobody is scored on, and a cell is told with its best rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gpuyard.envs.commits import Commits
from gpuyard.envs.features import MARKS
from gpuyard.envs.scenario import of_cluster
from gpuyard.experiments.lublin import BLOCK, CELLS, Blocks, Cells, _kind, table, unscored
from gpuyard.experiments.objectives import wanted
from gpuyard.experiments.reproduce_rlscheduler import LENGTH, RULES, STARTS
from gpuyard.experiments.train import Train
from gpuyard.traces.estimates import with_estimates
from gpuyard.traces.job import Trace
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


def test_windows_take_turns_between_traces_and_between_the_strict_game_and_the_backfilled() -> None:
    longer = {key: run + 0.125 for key, run in TRACE.durations.items()}
    other = with_estimates(Trace(TRACE.jobs, longer), "exact")
    yard = Blocks(TRACE, of_cluster("1x256:CPU", 0.0), Commits(8), wanted("slowdown"), 20, stretches=(TRACE, other))
    env, seen = yard.env(), []
    for number in range(4):
        task = yard.task(env, yard.window(3, number), 5, number)
        assert isinstance(task.codec, Commits)
        env.reset(options=task.options)
        bodies = {(job.gang, task.window.durations[job.id]) for job in task.window.jobs}
        first = bodies <= {(job.gang, TRACE.durations[job.id]) for job in TRACE.jobs}
        seen.append((first, env.menu.observation[-1, MARKS] == 1.0))
    assert seen == [(True, False), (False, False), (True, True), (False, True)]


def test_one_rule_begins_as_the_best_one_of_each_kind_of_cell(tmp_path: Path) -> None:
    """Marks of a kind put together the line that was best there."""
    short = Trace(TRACE.jobs[:2000], {job.id: TRACE.durations[job.id] for job in TRACE.jobs[:2000]})
    swift = with_estimates(Trace(short.jobs, {key: run / 500 for key, run in short.durations.items()}), "exact")
    args = Train(out=tmp_path / "p", trace="none", cluster="1x256:CPU", menu="commits", algorithm="es", validation=4)
    yard = Blocks(TRACE, of_cluster("1x256:CPU", 0.0), args.codec(), wanted("slowdown"), 40, stretches=(short, swift))
    cells = Cells(args, yard, yard, {})
    best = ["shortest", "narrowest", "lightest", "oldest"]
    cells.state |= {"par": [1.0] * 4, "costs": {n: [0.0 if n == one else 1.0 for one in best] for n in cells.known}}
    weights = cells.begin()
    for task, name in zip(cells.tasks, best, strict=True):
        backfill, usual, _ = _kind(task)
        line = weights["rule.weight"][0] + np.array([backfill, usual, backfill * usual]) @ weights["marks.weight"]
        np.testing.assert_allclose(line, cells._lines()[name].line(Commits.row)[0], atol=1e-3)
