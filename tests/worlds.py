"""The contract of worlds: stories that every World must tell alike, with one policy object, through one Session.

For another world write, in a test file of its own, a subclass named Test... that overrides `make`:

    class TestSimulated(WorldContract):
        def make(self, asks, folder):
            return SimWorld(trace_of(asks), NODES, restart=0.0)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.log import Entry
from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.session import Session, World
from gpuyard.envs.vocabulary import (
    SIMPLE,
    Decision,
    InvalidDecision,
    Move,
    Moved,
    Placement,
    Preempt,
    Start,
    Stopped,
    Submitted,
    Tuning,
)
from gpuyard.policies.orders import fifo
from gpuyard.traces.job import Job, Trace

NODES = (Node("n0", tuple(Accelerator(f"EMULATED-T4-{i}", "T4", emulated=True) for i in range(2))),)
FREE = [a.id for a in NODES[0].accelerators]


@dataclass(frozen=True)
class Ask:
    """A job of a story: when it comes, how many accelerators it wants, how long it works, whether it fails then.

    Seconds of a story are short in a live world: see `WorldContract.second`.
    """

    submit: float
    gang: int
    seconds: float
    fails: bool = False


def job_of(number: int, ask: Ask, second: float = 1.0, command: tuple[str, ...] = ()) -> Job:
    return Job(number, ask.submit * second, ask.gang, command=command)


def trace_of(asks: Sequence[Ask]) -> Trace:
    return Trace(
        tuple(job_of(number, ask) for number, ask in enumerate(asks)),
        {number: ask.seconds for number, ask in enumerate(asks)},
    )


def placement(*accelerators: str) -> Placement:
    return (("n0", accelerators),)


TUNING = Tuning("bf16", True, 64, 250.0)
FIFO = fifo
"""Each world gets this very object."""


@dataclass
class Interrupting:
    """Fifo that preempts `victim`, once, when `at` has been submitted."""

    victim: int
    at: int
    done: bool = False

    def decide(self, cluster: ClusterView) -> Iterable[Decision]:
        if not self.done and self.at in cluster.pending:
            self.done = True
            yield Preempt(self.victim)
        else:
            yield from FIFO.decide(cluster)


class WorldContract:
    """Every world tells these stories. `make` is a world's factory."""

    second = 1.0
    """How long a second of a story takes in this world."""
    exact = True
    """Whether its clock keeps to the second of the story."""
    can_fail = True
    """Whether a job can fail here."""

    def make(self, asks: Sequence[Ask], folder: Path) -> World:
        """A world of NODES in which these jobs happen; ids count from 0."""
        raise NotImplementedError

    def told(self, job: int, folder: Path) -> Tuning | None:
        """The tuning as the job found it, None where no process finds anything."""
        return None

    def seen(self, job: int, folder: Path) -> str | None:
        """CUDA_VISIBLE_DEVICES as the job saw it, None where no process sees anything."""
        return None

    @pytest.fixture
    def session(self, tmp_path: Path) -> Iterable[Callable[..., Session]]:
        opened: list[World] = []

        def start(*asks: Ask) -> Session:
            opened.append(self.make(asks, tmp_path / "session"))
            return Session(opened[-1])

        yield start
        for world in opened:
            close = getattr(world, "close", None)
            if close is not None:
                close()

    def test_two_jobs_side_by_side_then_a_third(self, session: Callable[..., Session]) -> None:
        log = session(Ask(0, 1, 2), Ask(0, 1, 4), Ask(1, 1, 1)).play(FIFO)
        told = [(type(e).__name__, e.job.id if isinstance(e, Submitted) else e.job) for e in happenings(log.entries)]
        assert told[:4] == [("Submitted", 0), ("Submitted", 1), ("Start", 0), ("Start", 1)]
        assert told[4:] == [("Submitted", 2), ("Stopped", 0), ("Start", 2), ("Stopped", 2), ("Stopped", 1)]
        assert {e.reason for e in log.entries if isinstance(e, Stopped)} == {"finished"}
        assert [e.placement for e in log.entries if isinstance(e, Start)] == [
            placement(FREE[0]),
            placement(FREE[1]),
            placement(FREE[0]),
        ]

    def test_time_passes_as_jobs_come_and_work(self, session: Callable[..., Session]) -> None:
        log = session(Ask(1, 1, 2), Ask(2, 2, 1)).play(FIFO)
        times = [e.time / self.second for e in log.entries if isinstance(e, Submitted | Stopped)]
        assert times == sorted(times)
        if self.exact:
            assert times == [1, 2, 3, 4]
        else:
            assert all(time >= due for time, due in zip(times, [1, 2, 3, 4], strict=True)), "late at worst, never early"

    def test_nothing_is_over_before_all_is(self, session: Callable[..., Session]) -> None:
        story = session(Ask(0, 1, 1), Ask(3, 1, 1))
        log = story.play(FIFO)
        assert [e.job for e in log.entries if isinstance(e, Stopped)] == [0, 1]
        assert not story.world.wait()
        assert not story.world.wait()
        assert log.replay().state() == story.cluster.state()

    def test_no_jobs_is_over_at_once(self, session: Callable[..., Session]) -> None:
        assert not session().play(FIFO).entries

    def test_a_job_that_nobody_starts_keeps_nothing_going(self, session: Callable[..., Session]) -> None:
        story = session(Ask(0, 1, 1))
        assert story.advance()
        assert not story.advance()
        assert 0 in story.cluster.pending

    def test_an_accelerator_is_held_until_its_job_has_stopped(self, session: Callable[..., Session]) -> None:
        story = session(Ask(0, 2, 3), Ask(1, 2, 1))
        story.advance()
        story.act(Start(0, placement(*FREE)))
        story.advance()
        story.act(Preempt(0))
        assert story.cluster.room.count["T4"] == 0
        story.advance()
        assert story.cluster.room.count["T4"] == 2

    def test_a_preempted_job_comes_back_and_finishes(self, session: Callable[..., Session]) -> None:
        log = session(Ask(0, 2, 3), Ask(1, 1, 1)).play(Interrupting(victim=0, at=1))
        ends = [(e.job, e.reason) for e in log.entries if isinstance(e, Stopped)]
        assert ends == [(0, "preempted"), (0, "finished"), (1, "finished")]
        assert [e.job for e in log.entries if isinstance(e, Start)] == [0, 0, 1]
        assert [e.job.id for e in log.entries if isinstance(e, Submitted)] == [0, 1], "submitted once"

    def test_a_failing_job_has_failed(self, session: Callable[..., Session]) -> None:
        if not self.can_fail:
            pytest.skip("no job fails in this world")
        log = session(Ask(0, 1, 1, fails=True), Ask(0, 1, 2)).play(FIFO)
        ends = {e.job: e.reason for e in log.entries if isinstance(e, Stopped)}
        assert ends == {0: "failed", 1: "finished"}

    def test_it_acts_on_nothing_unknown(self, session: Callable[..., Session]) -> None:
        world = session(Ask(0, 1, 1)).world
        world.wait()
        with pytest.raises((KeyError, ValueError)):
            world.act(Start(7, placement(FREE[0])))
        with pytest.raises((KeyError, ValueError)):
            world.act(Preempt(7))

    def test_a_move_is_made_or_refused_whole(self, session: Callable[..., Session]) -> None:
        story = session(Ask(0, 1, 3))
        story.advance()
        story.act(Start(0, placement(FREE[0])))
        before, said = story.cluster.state(), len(story.log.entries)
        if Move in getattr(story.world, "does", SIMPLE):
            story.act(Move(0, placement(FREE[1])))
            story.advance()
            assert [type(e) for e in story.log.entries[said:]] == [Move, Moved]
            assert story.cluster.running[0].placement == placement(FREE[1])
        else:
            with pytest.raises(InvalidDecision, match=r"knows Preempt, Start alone"):
                story.act(Move(0, placement(FREE[1])))
            assert story.cluster.state() == before
            assert len(story.log.entries) == said
        assert [(e.job, e.reason) for e in story.play(FIFO).entries if isinstance(e, Stopped)] == [(0, "finished")]

    def test_a_job_may_be_told_how_to_use_what_it_got(self, session: Callable[..., Session], tmp_path: Path) -> None:
        story = session(Ask(0, 1, 1))
        story.advance()
        story.act(Start(0, placement(FREE[0]), TUNING))
        assert story.cluster.running[0].tuning == TUNING
        log = story.play(FIFO)
        assert [e.tuning for e in log.entries if isinstance(e, Start)] == [TUNING]
        assert [e.reason for e in log.entries if isinstance(e, Stopped)] == ["finished"]
        assert self.told(0, tmp_path / "session") in (None, TUNING)

    def test_a_gang_sees_its_two_accelerators(self, session: Callable[..., Session], tmp_path: Path) -> None:
        session(Ask(0, 2, 1)).play(FIFO)
        assert self.seen(0, tmp_path / "session") in (None, ",".join(FREE))


def happenings(entries: Iterable[Entry]) -> Iterable[Submitted | Stopped | Start]:
    return (e for e in entries if isinstance(e, Submitted | Stopped | Start))
