"""Sessions as small stories: two accelerators, three jobs, the whole log."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.cluster import Cluster
from gpuyard.envs.log import Log
from gpuyard.envs.metrics import integral, read, summary
from gpuyard.envs.nodes import Node, parse
from gpuyard.envs.rates import active_jobs, waiting_jobs
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import InvalidDecision, Preempt, Start, Stopped, Submitted, Tick
from gpuyard.policies.orders import fifo
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput
from strategies import Random, nodes, traces

TWO = parse("1x2:A100")
LEFT, RIGHT, BOTH = (("n0", ("n0/0",)),), (("n0", ("n0/1",)),), (("n0", ("n0/0", "n0/1")),)


def test_fifo_on_two_accelerators_is_this_log() -> None:
    first, second, third = Job(1, 0.0, 2), Job(2, 1.0, 2), Job(3, 2.0, 1)
    log = Session(SimWorld(Trace((first, second, third), {1: 10.0, 2: 10.0, 3: 1.0}), TWO)).play(fifo)
    assert log.entries == [
        Submitted(0.0, first),
        Start(1, BOTH),
        Submitted(1.0, second),
        Submitted(2.0, third),
        Stopped(10.0, 1, "finished", 10.0),
        Start(2, BOTH),
        Stopped(20.0, 2, "finished", 10.0),
        Start(3, LEFT),
        Stopped(21.0, 3, "finished", 1.0),
    ]
    told = summary(log)
    assert (told.mean_jct, told.median_jct, told.makespan) == ((10 + 19 + 19) / 3, 19.0, 21.0)
    assert told.mean_wait == (0 + 9 + 18) / 3
    assert told.mean_bounded_slowdown == pytest.approx((1 + 1.9 + 1.9) / 3)
    assert told.utilization == (20 + 20 + 1) / (2 * 21)
    assert (told.jobs, told.finished, told.failed, told.preemptions, told.decisions) == (3, 3, 0, 0, 3)


class Script:
    """Decides what it was told to, moment by moment."""

    def __init__(self, *moments: list[Start | Preempt]) -> None:
        self.moments = list(moments)

    def decide(self, cluster: object) -> list[Start | Preempt]:
        return self.moments.pop(0) if self.moments else []


def test_a_preempted_job_keeps_its_work_and_pays_for_the_restart() -> None:
    long, short = Job(1, 0.0), Job(2, 4.0)
    world = SimWorld(Trace((long, short), {1: 10.0, 2: 1.0}), parse("1x1:A100"), restart=3.0)
    script = Script([Start(1, LEFT)], [Preempt(1)], [Start(2, LEFT)], [Start(1, LEFT)])
    log = Session(world).play(script)
    assert [e for e in log.entries if isinstance(e, Stopped)] == [
        Stopped(4.0, 1, "preempted", 4.0),
        Stopped(5.0, 2, "finished", 1.0),
        Stopped(5.0 + 3.0 + 6.0, 1, "finished", 10.0),
    ]
    told = read(log)
    assert told.ended.held.tolist() == [4.0 + 9.0, 1.0]
    assert told.ended.run.tolist() == [10.0, 1.0]
    assert told.ended.wait.tolist() == [1.0, 0.0]
    found = summary(log)
    assert (found.preemptions, found.work.overhead) == (1, 3.0)


def test_work_done_before_the_restart_is_over_is_none() -> None:
    world = SimWorld(
        Trace((Job(1, 0.0), Job(2, 4.0), Job(3, 6.0)), {1: 10.0, 2: 1.0, 3: 1.0}), parse("1x2:A100"), restart=3.0
    )
    script = Script([Start(1, LEFT)], [Preempt(1)], [Start(1, LEFT)], [Preempt(1)], [Start(1, LEFT), Start(2, RIGHT)])
    log = Session(world).play(script)
    stops = [(e.time, e.job, e.progress) for e in log.entries if isinstance(e, Stopped)]
    assert stops[:2] == [(4.0, 1, 4.0), (6.0, 1, 4.0)]
    assert stops[-1] == (6.0 + 3.0 + 6.0, 1, 10.0)


def test_a_job_that_finishes_in_the_moment_it_is_preempted_is_finished() -> None:
    world = SimWorld(Trace((Job(1, 0.0), Job(2, 5.0)), {1: 5.0, 2: 0.0}), TWO)
    log = Session(world).play(Script([Start(1, LEFT)], [Start(2, RIGHT), Preempt(2)]))
    assert [e for e in log.entries if isinstance(e, Stopped)] == [
        Stopped(5.0, 1, "finished", 5.0),
        Stopped(5.0, 2, "finished", 0.0),
    ]


def test_ticks_do_not_go_on_for_ever_when_nobody_starts_anything() -> None:
    log = Session(SimWorld(Trace((Job(1, 3.0),), {1: 5.0}), TWO, tick=2.0)).play(Script())
    assert log.entries == [Submitted(3.0, Job(1, 3.0))]


def test_utilization_counts_to_the_end_of_the_log_whatever_still_runs() -> None:
    log = Log(TWO, [Submitted(0.0, Job(1, 0.0)), Submitted(0.0, Job(2, 0.0)), Start(1, LEFT), Start(2, RIGHT)])
    log.entries += [Stopped(10.0, 1), Tick(1000.0)]
    assert summary(log).utilization == (10 + 1000) / (2 * 1000)


def test_the_makespan_begins_with_the_first_submission() -> None:
    log = Session(SimWorld(Trace((Job(1, 7.0), Job(2, 9.0)), {1: 5.0, 2: 5.0}), TWO)).play(fifo)
    assert summary(log).makespan == 7.0


def test_too_many_orders_are_refused_with_the_cure() -> None:
    cluster = Cluster(TWO)
    cluster.observe(Submitted(0.0, Job(1, 0.0)))
    for _ in range(32):
        list(cluster.pending.by(lambda job, _: job.gang))
    with pytest.raises(ValueError, match="define it once, outside decide"):
        list(cluster.pending.by(lambda job, _: job.gang))


def test_ticks_come_while_jobs_are_in_the_system() -> None:
    world = SimWorld(Trace((Job(1, 3.0),), {1: 5.0}), TWO, tick=2.0)
    log = Session(world).play(fifo)
    assert [e.time for e in log.entries if isinstance(e, Tick)] == [5.0, 7.0]


@pytest.mark.parametrize(
    ("decision", "why"),
    [
        (Start(7, LEFT), "job 7 is not waiting"),
        (Start(1, LEFT), "job 1 needs 2 accelerators, the placement has 1"),
        (Start(1, (("n0", ("n0/0", "n0/9")),)), "job 1 cannot stand on n0/9 of n0: there is none"),
        (Start(1, (("n9", ("n0/0", "n0/1")),)), "job 1 cannot stand on n0/0 of n9: there is none"),
        (Start(1, (("n0", ("n0/0", "n0/0")),)), "job 1 cannot have n0/0: it is taken"),
        (Preempt(1), "job 1 is not running"),
    ],
)
def test_a_refused_decision_says_why_and_changes_nothing(decision: Start | Preempt, why: str) -> None:
    cluster = Cluster(TWO)
    cluster.observe(Submitted(0.0, Job(1, 0.0, 2)))
    before = cluster.state()
    with pytest.raises(InvalidDecision, match=f"^{why}$"):
        cluster.decide(decision)
    assert cluster.state() == before


def test_a_broken_world_is_noticed() -> None:
    cluster = Cluster(TWO)
    cluster.observe(Submitted(5.0, Job(1, 5.0)))
    for event in (Submitted(4.0, Job(2, 4.0)), Submitted(6.0, Job(1, 5.0)), Stopped(6.0, 1)):
        with pytest.raises(ValueError, match=r"never goes back|twice|does not run"):
            cluster.observe(event)


def test_ids_given_twice_are_refused() -> None:
    with pytest.raises(InvalidDecision, match="twice"):
        Cluster((Node("a"), Node("a")))


def played(trace: Trace, seed: int) -> Session:
    session = Session(SimWorld(trace, nodes(), restart=1.0))
    session.play(Random(np.random.default_rng(seed)))
    return session


@given(traces(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_a_log_replays_into_an_equal_ledger(trace: Trace, seed: int) -> None:
    session = played(trace, seed)
    assert session.log.replay().state() == session.cluster.state()


@given(traces(), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_equal_inputs_give_byte_equal_logs_that_read_back(trace: Trace, seed: int) -> None:
    log = played(trace, seed).log
    assert log.sha256() == played(trace, seed).log.sha256()
    with TemporaryDirectory() as folder:
        log.write(Path(folder) / "log.jsonl")
        assert Log.read(Path(folder) / "log.jsonl") == log


@given(traces(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_everything_is_conserved(trace: Trace, seed: int) -> None:
    session = Session(SimWorld(trace, nodes(), restart=1.0))
    empty, policy = session.cluster.room.state(), Random(np.random.default_rng(seed))
    while session.advance():
        for decision in policy.decide(session.cluster):
            session.act(decision)
        again = Cluster(nodes()).room.scratch()
        for running in session.cluster.running:
            again.take(running.job, running.placement)  # raises if anything stands on taken ground
        mine = session.cluster.room.state()
        assert again.state() == mine
    if not len(session.cluster.running):
        assert session.cluster.room.state() == empty


@given(traces(), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_the_integral_of_active_jobs_is_the_sum_of_completion_times(trace: Trace, seed: int) -> None:
    session = played(trace, seed)
    ended = read(session.log).ended
    left = sum(session.cluster.now - j.submit for j in session.cluster.pending)
    assert -integral(session.log, active_jobs) == pytest.approx(float(ended.jct.sum()) + left)


def test_the_integral_of_waiting_jobs_is_the_sum_of_waits() -> None:
    trace = Trace((Job(1, 0.0, 2), Job(2, 1.0, 2), Job(3, 2.0, 1)), {1: 10.0, 2: 10.0, 3: 1.0})
    log = Session(SimWorld(trace, TWO)).play(fifo)
    assert integral(log, waiting_jobs) == -(9.0 + 18.0)


def test_a_log_is_written_whole_and_read_back(tmp_path: Path) -> None:
    job = Job(3, 0.5, 1, 0.5, ("A",), 1.5, 10, 2.0, "t", "ü", 1.0, 9.0, False, "p", "n", ("a", "b"))
    log = Session(SimWorld(Trace((job,), {3: 4.0}), nodes())).play(fifo)
    log.write(tmp_path / "deep" / "log.jsonl")
    assert Log.read(tmp_path / "deep" / "log.jsonl") == log
    assert Log.read(str(tmp_path / "deep" / "log.jsonl")) == log
    with pytest.raises(BadInput, match=r"none\.jsonl: "):
        Log.read(str(tmp_path / "none.jsonl"))
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["log.jsonl"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "line 1: is not a line of a gpuyard log"),
        ("{}\n", "line 1: is not a line of a gpuyard log"),
        ('{"gpuyard_log":9,"nodes":[]}\n', "line 1: a log of format 9"),
        ('{"gpuyard_log":1,"nodes":[]}\n{"time":1}\n', "line 2: is not a line of a gpuyard log"),
        ('{"gpuyard_log":1,"nodes":[]}\n{"time":0,"event":"submitted","job":3}\n', "line 2: is not a line"),
        ('{"gpuyard_log":1,"nodes":[]}\n{"time":"x","event":"tick"}\n', "line 2: is not a line"),
        ('{"gpuyard_log":1,"nodes":[]}\n{"time":NaN,"event":"tick"}\n', "line 2: is not a line"),
    ],
)
def test_a_torn_log_is_refused_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "log.jsonl").write_text(text)
    with pytest.raises(BadInput, match=why):
        Log.read(tmp_path / "log.jsonl")


def test_an_empty_log_has_no_means() -> None:
    told = summary(Log(TWO))
    assert (told.jobs, told.mean_jct, told.makespan, told.utilization) == (0, None, None, None)
