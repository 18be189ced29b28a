"""The live world: the contract of worlds, and what is its alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import InvalidDecision, Preempt, Start, Stopped, Submitted, Tick, Tuning
from gpuyard.executor.live import LiveWorld
from gpuyard.traces.job import Job
from gpuyard.traces.trouble import BadInput
from processes import DEAF, until
from worlds import FIFO, FREE, NODES, Ask, WorldContract, job_of, placement


class TestLive(WorldContract):
    second = 0.2
    exact = False

    def make(self, asks: Sequence[Ask], folder: Path) -> LiveWorld:
        jobs = [job_of(number, ask, self.second, self.command(ask)) for number, ask in enumerate(asks)]
        return LiveWorld(NODES, jobs, folder, grace=1.0)

    def command(self, ask: Ask) -> tuple[str, ...]:
        tell = 'printf %s "$CUDA_VISIBLE_DEVICES"; env | grep ^GPUYARD_ >&2'
        return ("sh", "-c", f"{tell}; sleep {ask.seconds * self.second}; exit {3 if ask.fails else 0}")

    def seen(self, job: int, folder: Path) -> str:
        return (folder / f"job-{job}" / "stdout.log").read_text()

    def told(self, job: int, folder: Path) -> Tuning:
        lines = (folder / f"job-{job}" / "stderr.log").read_text().splitlines()
        found = dict(line.removeprefix("GPUYARD_").split("=", 1) for line in lines)
        how = found["COMPILE"] == "1"
        return Tuning(found["PRECISION"], how, int(found["BATCH"]), float(found["WATTS"]))


def test_a_job_learns_of_its_restarts(tmp_path: Path) -> None:
    story = 'echo "$GPUYARD_RESTARTS of $GPUYARD_JOB_ID"; [ -f $GPUYARD_CHECKPOINT_DIR/it ] && exit 0; '
    story += "trap 'touch $GPUYARD_CHECKPOINT_DIR/it; exit 75' TERM; while :; do sleep 0.02; done"
    with LiveWorld(NODES, [Job(3, 0.0, command=("sh", "-c", story))], tmp_path / "s") as world:
        assert [e.job.id for e in world.wait() if isinstance(e, Submitted)] == [3]
        world.act(Start(3, placement(FREE[0])))
        log = tmp_path / "s" / "job-3" / "stdout.log"
        until(lambda: log.read_text() == "0 of 3\n")
        time.sleep(0.05)
        world.act(Preempt(3))
        (stopped,) = world.wait()
        assert isinstance(stopped, Stopped)
        assert (stopped.reason, stopped.progress) == ("preempted", None)
        world.act(Start(3, placement(FREE[1])))
        (stopped,) = world.wait()
        assert isinstance(stopped, Stopped)
        assert stopped.reason == "finished"
        assert log.read_text() == "0 of 3\n1 of 3\n"


def test_a_deaf_job_is_killed_after_its_grace_and_does_not_block_others(tmp_path: Path) -> None:
    jobs = [Job(0, 0.0, command=DEAF), Job(1, 0.0, command=("sleep", "0.1"))]
    with LiveWorld(NODES, jobs, tmp_path / "s", grace=0.4) as world:
        world.wait()
        world.act(Start(0, placement(FREE[0])))
        world.act(Start(1, placement(FREE[1])))
        until(lambda: (tmp_path / "s" / "job-0" / "stdout.log").read_text() == "ready\n")
        began = time.monotonic()
        world.act(Preempt(0))
        assert time.monotonic() - began < 0.3, "it does not wait"
        assert [(e.job, e.reason) for e in world.wait() if isinstance(e, Stopped)] == [(1, "finished")]
        assert [(e.job, e.reason) for e in world.wait() if isinstance(e, Stopped)] == [(0, "preempted")]
        assert 0.4 <= time.monotonic() - began < 1.5


def test_what_cannot_be_started_fails_and_the_session_goes_on(tmp_path: Path) -> None:
    jobs = [Job(0, 0.0, command=("/nowhere",)), Job(1, 0.0, command=("true",))]
    with LiveWorld(NODES, jobs, tmp_path / "s") as world:
        log = Session(world).play(FIFO)
    assert {e.job: e.reason for e in log.entries if isinstance(e, Stopped)} == {0: "failed", 1: "finished"}
    assert "cannot start '/nowhere'" in (tmp_path / "s" / "job-0" / "stderr.log").read_text()


def test_a_job_without_accelerators_and_one_with_a_share(tmp_path: Path) -> None:
    show = ("sh", "-c", 'printf %s "${CUDA_VISIBLE_DEVICES-unset}"')
    jobs = [Job(0, 0.0, 0, command=show), Job(1, 0.0, 1, 0.5, command=show)]
    with LiveWorld(NODES, jobs, tmp_path / "s") as world:
        session = Session(world)
        session.advance()
        session.act(Start(0, placement()))
        session.act(Start(1, placement(FREE[1])))
        while session.advance():
            pass
    assert [(tmp_path / "s" / f"job-{n}" / "stdout.log").read_text() for n in (0, 1)] == ["", FREE[1]]


def test_it_starts_only_what_waits_where_there_is_room(tmp_path: Path) -> None:
    with LiveWorld(NODES, [Job(0, 0.0, command=("sleep", "5"))], tmp_path / "s") as world:
        world.wait()
        for wrong in ((("n0", ("GPU-9",)),), (("n9", (FREE[0],)),), (("n9", ()),)):
            with pytest.raises(InvalidDecision, match="there is no"):
                world.act(Start(0, wrong))
        world.act(Start(0, placement(FREE[0])))
        with pytest.raises(InvalidDecision, match="is not waiting"):
            world.act(Start(0, placement(FREE[1])))


def test_ticks_come_while_jobs_are_there(tmp_path: Path) -> None:
    jobs = [Job(0, 0.1, command=("sleep", "0.25"))]
    with LiveWorld(NODES, jobs, tmp_path / "s", tick=0.1) as world:
        (first,) = world.wait()
        assert isinstance(first, Submitted)
        world.act(Start(0, placement(FREE[0])))
        told = [event for moment in iter(world.wait, ()) for event in moment]
        assert [type(e) for e in told] == [Tick] * (len(told) - 1) + [Stopped]
        assert len(told) >= 2


def test_a_tuned_job_is_told_anew_where_it_comes_back(tmp_path: Path) -> None:
    """By envs/tuning.toml an lm is told bf16 on an A100 and fp16 on a V100, whose limit is 0.6 of 300 W."""
    nodes = (Node("n0", (Accelerator("A", "A100", emulated=True), Accelerator("V", "V100", emulated=True))),)
    tell = 'echo "$GPUYARD_PRECISION ${GPUYARD_WATTS-none} ${GPUYARD_BATCH-none}"'
    waits = f"trap 'exit 75' TERM; {tell}; [ $GPUYARD_RESTARTS = 1 ] && exit 0; while :; do sleep 0.02; done"
    job = Job(0, 0.0, profile="lm", command=("sh", "-c", waits))
    with LiveWorld(nodes, [job], tmp_path / "s", tuned=True) as world:
        session, out = Session(world), tmp_path / "s" / "job-0" / "stdout.log"
        session.advance()
        session.act(Start(0, placement("A")))
        until(lambda: out.read_text().endswith("\n"))
        session.act(Preempt(0))
        session.advance()
        session.act(Start(0, placement("V")))
        session.advance()
        assert out.read_text() == "bf16 none none\nfp16 180 none\n"
    starts = [e.tuning for e in session.log.entries if isinstance(e, Start)]
    assert starts == [Tuning("bf16"), Tuning("fp16", watts=180.0)]


def test_what_has_no_profile_or_stands_on_an_unknown_kind_is_told_nothing(tmp_path: Path) -> None:
    nodes = (Node("n0", (Accelerator("A", "A100", emulated=True), Accelerator("B", "MYGPU", emulated=True))),)
    jobs = [Job(0, 0.0, command=("true",)), Job(1, 0.0, profile="lm", command=("true",))]
    with LiveWorld(nodes, jobs, tmp_path / "s", tuned=True) as world:
        log = Session(world).play(FIFO)
    assert [(e.job, e.tuning) for e in log.entries if isinstance(e, Start)] == [(0, None), (1, None)]


def test_a_job_that_nobody_starts_does_not_tick_for_ever(tmp_path: Path) -> None:
    with LiveWorld(NODES, [Job(0, 0.0, command=("true",))], tmp_path / "s", tick=0.1) as world:
        world.wait()
        assert not world.wait()


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        ([Job(0, 0.0)], "job 0 has no command"),
        ([Job(0, 0.0, command=("true",)), Job(0, 1.0, command=("true",))], "job 0 is there twice"),
    ],
)
def test_jobs_that_cannot_be_run(tmp_path: Path, jobs: list[Job], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        LiveWorld(NODES, jobs, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "job-0" / "checkpoint").mkdir(parents=True)
    with pytest.raises(BadInput, match="earlier session"):
        LiveWorld(NODES, [], tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="cannot be made"):
        LiveWorld(NODES, [], tmp_path / "file" / "s")
