"""Predictions: what jobs are told when they come, what is learned when they end, and that nothing leaks."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real import REAL, needs_real

from gpuyard.envs import boosting
from gpuyard.envs.demand import AHEAD, Arrivals, Demand, features
from gpuyard.envs.economics import demand_of
from gpuyard.envs.foretold import Foretold
from gpuyard.envs.log import Entry, Log
from gpuyard.envs.recent import PRIOR, told
from gpuyard.envs.roster import Columns
from gpuyard.envs.runtimes import Runtimes
from gpuyard.envs.scenario import of_cluster, scenario
from gpuyard.envs.session import Session, World
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Event, Foreseen, Preempt, Start, Stopped, Submitted
from gpuyard.executor.debug import DebugWorld
from gpuyard.experiments.names import policy
from gpuyard.traces.estimates import with_estimates
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.source import open_trace
from gpuyard.traces.windows import compressed, fingerprint, windows
from worlds import NODES, Ask, WorldContract, job_of

DAY = 86400.0
TRACE = with_estimates(open_trace("synthetic:philly,jobs=3000,largest=8,seed=3"), "predicted")


class TestForetold(WorldContract):
    """Around a world that keeps the contract it keeps it too."""

    def make(self, asks: Sequence[Ask], folder: Path) -> World:
        jobs, seconds = [job_of(n, ask) for n, ask in enumerate(asks)], {n: ask.seconds for n, ask in enumerate(asks)}
        return Foretold(DebugWorld(NODES, jobs, seconds, failing={n for n, ask in enumerate(asks) if ask.fails}))


def played(trace: Trace, name: str = "sjf", cluster: str = "4x8:V100") -> Log:
    return Session(of_cluster(cluster).world(trace)).play(policy(name))


def until(log: Log, time: float) -> list[Entry]:
    return [entry for at, entry in log.timed() if at < time]


def said(log: Log) -> list[Job]:
    return [entry.job for entry in log.entries if isinstance(entry, Submitted)]


def test_who_comes_first_is_told_what_other_clusters_know_then_what_ended_here() -> None:
    jobs = tuple(Job(n, 100.0 * n, user="ann") for n in range(5))
    trace = with_estimates(Trace(jobs, {0: 10.0, 1: 20.0, 2: 40.0, 3: 30.0, 4: 5.0}), "predicted")
    told = [(job.estimate, job.upper) for job in said(played(trace, "fifo"))]
    expected = [PRIOR, (10.0, 10.0), (10.0, 20.0), (20.0, 40.0), (20.0, 40.0)]
    assert np.array(told) == pytest.approx(np.array(expected))


def test_a_job_teaches_its_own_kind_first() -> None:
    """Ann's jobs take 10 s, Bob's 1000 s; a stranger is told what all took together."""
    who = ["ann", "bob"] * 4 + ["ann", "bob", "cyd"]
    jobs = tuple(Job(n, 2000.0 * n, user=one) for n, one in enumerate(who))
    trace = with_estimates(Trace(jobs, {j.id: 10.0 if j.user == "ann" else 1000.0 for j in jobs}), "predicted")
    ann, bob, cyd = said(played(trace, "fifo"))[-3:]
    assert ann.upper == pytest.approx(10.0)
    assert bob.estimate == pytest.approx(1000.0)
    assert cyd.estimate == pytest.approx(10.0)
    assert cyd.upper == pytest.approx(1000.0)


def test_a_window_begins_with_what_had_ended_before_it() -> None:
    """Job 0 ended before the window, job 1 had not: it is not known there."""
    jobs = (Job(0, 0.0), Job(1, 10.0), Job(2, 100.0))
    trace = with_estimates(Trace(jobs, {0: 50.0, 1: 90.0, 2: 7.0}), "predicted")
    (first,) = said(played(trace.of(jobs[2:]).rebased(), "fifo"))
    assert first.estimate == first.upper == pytest.approx(50.0)
    fast = compressed(trace.of(jobs[2:]).rebased(), 4.0)
    assert fast.past is not None
    assert (fast.past.zero, fast.past.factor, fast.past.at(1.0)) == (100.0, 4.0, 104.0)
    assert said(played(fast, "fifo"))[0].estimate == pytest.approx(50.0)


def test_a_job_without_length_is_not_known_before_it_comes() -> None:
    trace = with_estimates(Trace((Job(0, 0.0), Job(1, 100.0)), {0: 60.0, 1: 0.0}), "predicted")
    runtimes = Runtimes(trace.past, 100.0)
    assert list(runtimes.submitted(Job(1, 100.0), 100.0)) == pytest.approx([60.0, 60.0])


def test_where_the_world_cannot_tell_the_seconds_in_place_count() -> None:
    """As in live worlds: two runs of 3 and 4 s are 7 s of work; a cancelled job teaches nothing."""

    class Mute(SimWorld):
        def wait(self) -> list[Event]:
            events = super().wait()
            return [replace(e, progress=None) if isinstance(e, Stopped) else e for e in events]

    trace = Trace((Job(0, 0.0), Job(1, 1.0), Job(2, 3.0), Job(3, 50.0)), {0: 7.0, 1: 1.0, 2: 1.0, 3: 1.0})
    world = Foretold(Mute(trace, of_cluster("1x2:V100").nodes, restart=0.0))
    session, place = Session(world), (("n0", ("n0/0",)),)
    session.advance()
    session.act(Start(0, place))
    session.advance()
    session.advance()
    session.act(Preempt(0))
    session.advance()
    session.act(Start(0, place))
    session.advance()
    assert world.runtimes._runs == pytest.approx([np.log1p(7.0)])
    world._told(Stopped(8.0, 1, "cancelled"))
    assert len(world.runtimes._runs) == 1


def test_windows_share_their_fits_and_nothing_is_fitted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = with_estimates(TRACE, "predicted")
    trace = replace(trace, past=None)
    trace = with_estimates(trace, "predicted")
    assert trace.past is not None
    for window in windows(trace, 100, 8)[2:]:
        played(window)
    fits = {key for key in trace.past.history.kept if isinstance(key, tuple) and key[0] == "runtimes"}
    assert len(fits) >= 3
    monkeypatch.setattr(boosting, "_flat", lambda _: pytest.fail("fitted again"))
    for window in windows(pickle.loads(pickle.dumps(trace)), 100, 8)[2:]:
        played(window)


def test_a_window_fits_nothing_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,500 jobs end in it: it crosses a count at which longer histories are fitted, and leaves that to them."""
    trace = with_estimates(replace(TRACE, past=None), "predicted")
    assert trace.past is not None
    window = trace.of(trace.jobs[1500:]).rebased()
    first = Runtimes(window.past, trace.jobs[1500].submit)
    assert first.forest is not None
    assert boosting.due(first._before + 1500) > boosting.due(first._before)
    monkeypatch.setattr("gpuyard.envs.runtimes.boosted", lambda *_: pytest.fail("fitted again"))
    played(window)


def test_equal_inputs_equal_logs_and_the_log_replays(tmp_path) -> None:  # type: ignore[no-untyped-def]
    slow = compressed(replace(TRACE, past=None), 0.4)
    trace, again = with_estimates(slow, "predicted"), with_estimates(slow, "predicted")
    one, two = played(trace), played(again)
    assert one.sha256() == two.sha256()
    one.write(tmp_path / "log.jsonl")
    back = Log.read(tmp_path / "log.jsonl")
    assert back.entries == one.entries
    session = Session(of_cluster("4x8:V100").world(trace))
    session.play(policy("sjf"))
    assert back.replay().state() == session.cluster.state()
    assert any(isinstance(entry, Foreseen) for entry in one.entries)
    assert demand_of(session.cluster) == session.cluster.foreseen.demand  # type: ignore[union-attr]


@given(st.integers(0, 1199), st.sampled_from(["sjf", "srtf", "easy(sjf)", "qssf"]), st.integers(0, 9))
@settings(max_examples=5, deadline=None)
def test_what_has_not_ended_changes_nothing(number: int, name: str, seed: int) -> None:
    """Durations of jobs that have not ended at a moment may be anything: not a word before it is another."""
    rng = np.random.default_rng(seed)
    trace = with_estimates(replace(TRACE.first(1200), past=None), "predicted")
    log, time = played(trace, name), trace.jobs[number].submit
    over = {e.job for e in until(log, time) if isinstance(e, Stopped) and e.reason == "finished"}
    longer = {j: d if j in over else d + rng.choice([1.0, 1e4, 1e7]).item() for j, d in trace.durations.items()}
    poisoned = with_estimates(replace(trace, durations=longer, past=None), "predicted")
    assert until(log, time) == until(played(poisoned, name), time)


@needs_real
@pytest.mark.slow
@pytest.mark.parametrize("name", ["qssf", "easy(sjf)"])
def test_what_has_not_ended_changes_nothing_on_philly(name: str) -> None:
    """A window of 1,500 of Philly's jobs with 6,000 before it, at three moments of it.

    Whatever has not ended by then, before the window or in it, is made to last 40 days longer.
    """
    whole = replace(open_trace(f"philly:{REAL / 'philly' / 'philly.csv.gz'}").first(7500), past=None)
    log = played(window := part(whole, whole.durations), name, "16x8:V100")
    for number in (0, 700, 1400):
        time = window.jobs[number].submit
        over = {e.job for e in until(log, time) if isinstance(e, Stopped) and e.reason == "finished"}
        begins = whole.jobs[6000].submit
        over |= {j.id for j in whole.jobs[:6000] if j.submit + whole.durations[j.id] < begins}
        longer = {j: d if j in over else d + 40 * DAY for j, d in whole.durations.items()}
        assert sum(longer[j] != d for j, d in whole.durations.items()) >= 100
        assert until(log, time) == until(played(part(whole, longer), name, "16x8:V100"), time)


def part(whole: Trace, durations: dict[int, float] | Any) -> Trace:
    """The last 1,500 jobs of 7,500, of a trace with these run times."""
    trace = with_estimates(replace(whole, durations=durations), "predicted")
    return trace.of(trace.jobs[6000:7500]).rebased()


@given(st.integers(1000, 2800), st.integers(0, 9))
@settings(max_examples=5, deadline=None)
def test_a_window_knows_of_its_past_only_what_had_ended(start: int, seed: int) -> None:
    """Run times, submissions and gangs of all that had not ended when the window began may be anything."""
    rng, begins = np.random.default_rng(seed), TRACE.jobs[start].submit
    window = TRACE.of(TRACE.jobs[start : start + 64])
    ended = {j.id for j in TRACE.jobs[:start] if j.submit + TRACE.durations[j.id] < begins}
    inside = {j.id for j in window.jobs}
    other = {
        j: d if j in ended | inside else d + rng.choice([1.0, 1e4, 1e7]).item() for j, d in TRACE.durations.items()
    }
    later = [replace(j, gang=7) for j in TRACE.jobs[start + 64 :]]
    changed = replace(TRACE, jobs=(*TRACE.jobs[: start + 64], *later), durations=other, past=None)
    changed = with_estimates(changed, "predicted")
    assert played(window).entries == played(changed.of(changed.jobs[start : start + 64])).entries


def test_a_forest_says_what_scikit_learn_says() -> None:
    from sklearn.ensemble import HistGradientBoostingRegressor

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 5))
    targets = np.stack([rows[:, 0] ** 2 + rows[:, 1]] * 2, 1) + rng.normal(size=(2000, 1))
    forest = boosting.boosted(rows, targets, (0.5, 0.9))
    for number, quantile in enumerate((0.5, 0.9)):
        model: Any = HistGradientBoostingRegressor(  # type: ignore[no-untyped-call]
            loss="quantile", quantile=quantile, early_stopping=False, random_state=0, **boosting.SETTINGS
        )
        expected = model.fit(rows, targets[:, number]).predict(rows[:200])
        assert [forest.of(row)[number] for row in rows[:200]] == pytest.approx(list(expected), abs=1e-9)


def test_fits_are_due_at_fixed_counts() -> None:
    assert [boosting.due(n) for n in (0, 499, 500, 749, 750, 30_000, 82_247)] == [0, 0, 500, 500, 750, 28_815, 78_815]


def test_demand_is_learned_from_its_own_rhythm() -> None:
    """16 accelerators on the hour, in the last third of each hour nothing: ten days teach it."""
    demand, hours = Demand(), range(24 * 10)
    assert demand.foreseen(0.0) is None
    for hour in hours:
        demand.submitted(Job(hour, hour * 3600.0, 16), hour * 3600.0)
    low, high, longer, longest = demand.foreseen(10 * DAY - 1.0) or (inf,) * 4
    assert [longer, longest] == pytest.approx([16.0, 16.0], rel=0.1)
    assert 0 <= low <= high <= 17


def test_what_was_asked_for_is_summed_over_the_right_seconds() -> None:
    arrivals = Arrivals()
    for time, demand in ((0.0, 1.0), (600.0, 2.0), (DAY, 4.0), (DAY + 500.0, 8.0)):
        arrivals.add(time, demand)
    row = np.expm1(features(arrivals, np.array([DAY + 500.0]), 0.0))[0]
    assert row[:4].round(6).tolist() == [12, 12, 12, 14]
    assert row[4:7].round(6).tolist() == [2, 0, 0]
    assert AHEAD == (600.0, 3600.0)


def test_columns_and_tables_keep_the_upper_estimate(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from gpuyard.traces.table import load, save

    trace = Trace((Job(0, 0.0, estimate=3.0, upper=9.0), Job(1, 0.0)), {0: 1.0, 1: 1.0})
    save(trace, tmp_path / "t.parquet")
    assert load(tmp_path / "t.parquet").jobs == trace.jobs
    assert fingerprint(trace) != fingerprint(with_estimates(trace, "none"))
    session = Session(SimWorld(trace, of_cluster("1x2:V100").nodes))
    session.advance()
    columns = session.cluster.pending.columns
    assert columns.upper.tolist()[0] == 9.0
    assert np.isnan(columns.upper[1])
    assert columns.column(Columns.LOG_UPPER).tolist() == [np.log1p(9.0), 0.0]


def test_it_stands_around_harsh_worlds_too() -> None:
    campus = scenario("campus")
    trace = with_estimates(open_trace(campus.trace or "", seed=0).first(150), "predicted")
    world = campus.world(trace)
    assert isinstance(world, Foretold)
    log = Session(world).play(policy("easy(sjf)"))
    assert all(job.estimate is not None and job.upper >= job.estimate for job in said(log))  # type: ignore[operator]
    assert log.replay().now == log.entries[-1].time  # type: ignore[union-attr]


def test_history_rows_are_those_of_the_world() -> None:
    """With a machine for everybody jobs end as the history assumes: both see the same."""
    trace = with_estimates(replace(TRACE.first(300), past=None), "predicted")
    assert trace.past is not None
    known = told(trace.past.history)
    world = of_cluster("400x8:V100").world(trace)
    assert isinstance(world, Foretold)
    Session(world).play(policy("fifo"))
    assert np.allclose(np.array(world.runtimes._rows), known.rows)
