"""The live world and the debug world: the contract of worlds, and what is theirs alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from test_launch import gone, until

from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import InvalidDecision, Preempt, Start, Stopped, Submitted, Tick
from gpuyard.executor.debug import DebugWorld
from gpuyard.executor.jobs import read
from gpuyard.executor.live import LiveWorld
from gpuyard.traces.job import Job
from gpuyard.traces.trouble import BadInput
from worlds import FIFO, FREE, NODES, Ask, WorldContract, job_of, placement

DEAF = ("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")


class TestLive(WorldContract):
    second = 0.2
    exact = False

    def make(self, asks: Sequence[Ask], folder: Path) -> LiveWorld:
        jobs = [job_of(number, ask, self.second, self.command(ask)) for number, ask in enumerate(asks)]
        return LiveWorld(NODES, jobs, folder, grace=1.0)

    def command(self, ask: Ask) -> tuple[str, ...]:
        story = f'printf %s "$CUDA_VISIBLE_DEVICES"; sleep {ask.seconds * self.second}; exit {3 if ask.fails else 0}'
        return ("sh", "-c", story)

    def seen(self, job: int, folder: Path) -> str:
        return (folder / f"job-{job}" / "stdout.log").read_text()


class TestDebug(WorldContract):
    def make(self, asks: Sequence[Ask], folder: Path) -> DebugWorld:
        return DebugWorld(
            NODES,
            [job_of(number, ask) for number, ask in enumerate(asks)],
            {number: ask.seconds for number, ask in enumerate(asks)},
            failing={number for number, ask in enumerate(asks) if ask.fails},
        )


def test_the_debug_world_by_hand() -> None:
    asks = (Ask(0, 2, 10), Ask(4, 1, 3))
    world = DebugWorld(NODES, [job_of(n, a) for n, a in enumerate(asks)], {0: 10.0, 1: 3.0}, grace=1.0)
    assert world.wait() == [Submitted(0, job_of(0, asks[0]))]
    world.act(Start(0, placement(*FREE)))
    assert world.wait() == [Submitted(4, job_of(1, asks[1]))]
    world.act(Preempt(0))
    world.act(Preempt(0))
    assert world.wait() == [Stopped(5, 0, "preempted", 5)]
    world.act(Start(0, placement(*FREE)))
    assert world.wait() == [Stopped(10, 0, "finished", 10)]
    assert world.wait() == []
    assert [start.job for start in world.starts] == [0, 0]


def test_the_debug_world_lets_a_job_finish_within_its_grace() -> None:
    world = DebugWorld(NODES, [Job(0, 0.0)], {0: 3.0}, grace=5.0)
    world.wait()
    world.act(Start(0, placement(FREE[0])))
    world.act(Preempt(0))
    assert world.wait() == [Stopped(3, 0, "finished", 3)]


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


def test_a_job_that_nobody_starts_does_not_tick_for_ever(tmp_path: Path) -> None:
    with LiveWorld(NODES, [Job(0, 0.0, command=("true",))], tmp_path / "s", tick=0.1) as world:
        world.wait()
        assert not world.wait()


def test_leaving_ends_all_that_was_started_and_nothing_else(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    jobs = [Job(0, 0.0, command=DEAF), Job(1, 0.0, command=("sh", "-c", "sleep 60 & echo $!; sleep 60"))]
    out = [tmp_path / "s" / f"job-{n}" / "stdout.log" for n in (0, 1)]
    with LiveWorld(NODES, jobs, tmp_path / "s", grace=0.3) as world:
        world.wait()
        world.act(Start(0, placement(FREE[0])))
        world.act(Start(1, placement(FREE[1])))
        until(lambda: out[0].read_text() == "ready\n" and out[1].read_text().endswith("\n"))
        pids = [*(attempt.pid for _, attempt in world._running.values()), int(out[1].read_text())]
        began = time.monotonic()
    assert 0.3 <= time.monotonic() - began < 2.0
    until(lambda: all(pid is not None and gone(pid) for pid in pids))
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
    assert not world.wait()
    with pytest.raises(InvalidDecision):
        world.act(Start(0, placement(FREE[0])))


def test_an_interrupt_ends_jobs_within_their_grace(tmp_path: Path) -> None:
    world = LiveWorld(NODES, [Job(0, 0.0, command=DEAF)], tmp_path / "s", grace=0.2)
    world.wait()
    world.act(Start(0, placement(FREE[0])))
    pid = world._running[0][1].pid
    assert pid is not None
    until(lambda: (tmp_path / "s" / "job-0" / "stdout.log").read_text() == "ready\n")
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        world.wait()
    assert time.monotonic() - began < 2.0
    assert gone(pid)


def test_a_second_interrupt_kills_at_once(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from worlds import FIFO, NODES
from gpuyard.envs.session import Session
from gpuyard.executor.live import LiveWorld
from gpuyard.traces.job import Job
Session(LiveWorld(NODES, [Job(0, 0.0, command={DEAF})], Path({str(tmp_path / "s")!r}), grace=60)).play(FIFO)
"""
    session = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent, stderr=subprocess.PIPE)
    log = tmp_path / "s" / "job-0" / "stdout.log"
    until(lambda: log.exists() and log.read_text() == "ready\n", seconds=30)
    children = Path(f"/proc/{session.pid}/task/{session.pid}/children").read_text().split()
    session.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert session.poll() is None
    session.send_signal(signal.SIGINT)
    _, words = session.communicate(timeout=5)
    assert b"KeyboardInterrupt" in words
    assert len(children) == 1
    until(lambda: gone(int(children[0])))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_copy_owns_nothing(tmp_path: Path) -> None:
    with LiveWorld(NODES, [Job(0, 0.0, command=("sleep", "0.4"))], tmp_path / "s") as world:
        world.wait()
        world.act(Start(0, placement(FREE[0])))
        if (child := os.fork()) == 0:
            world.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert [(e.job, e.reason) for e in world.wait() if isinstance(e, Stopped)] == [(0, "finished")]


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


def test_a_file_of_jobs(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text("""
[[jobs]]
name = "seed {index}"
command = ["python", "train.py", "--seed={index}", "{}"]
gpus = 2
kinds = ["A100", "H100"]
cpus = 8
memory_gib = 1.5
estimate = 600
after_seconds = 10
count = 2
user = "ada"
tenant = "vision"
priority = 3
preemptible = false

[[jobs]]
command = ["true"]
share = 0.5
""")
    seeds = [
        Job(
            id=index,
            submit=10.0,
            gang=2,
            kinds=("A100", "H100"),
            cpus=8.0,
            host_memory=3 * 2**29,
            estimate=600.0,
            tenant="vision",
            user="ada",
            priority=3.0,
            preemptible=False,
            name=f"seed {index}",
            command=("python", "train.py", f"--seed={index}", "{}"),
        )
        for index in (0, 1)
    ]
    assert read(path) == (Job(2, 0.0, share=0.5, command=("true",)), *seeds)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[jobs]]\ncommand = 'python train.py'", r"number 1: 'command' is a string, and no shell"),
        (
            "[[jobs]]\ncommand = ['a']\n[[jobs]]\ncomand = ['a']",
            "number 2: unknown key 'comand'. Did you mean",
        ),
        ("[[jobs]]\ngpus = 1", "number 1: 'command' is missing"),
        ("[[jobs]]\ncommand = []", "'command' cannot be \\[\\]; it is the program"),
        ("[[jobs]]\ncommand = ['']", "it is the program"),
        ("[[jobs]]\ncommand = ['a', 1]", "it is a list of strings"),
        ("[[jobs]]\ncommand = ['a']\ngpus = '2'", "'gpus' cannot be '2'; it is a whole number"),
        ("[[jobs]]\ncommand = ['a']\ngpus = true", "'gpus' cannot be True; it is a whole number"),
        ("[[jobs]]\ncommand = ['a']\ngpus = -1", "'gpus' cannot be -1; it is 0 or more"),
        ("[[jobs]]\ncommand = ['a']\nshare = 0", "'share' cannot be 0"),
        ("[[jobs]]\ncommand = ['a']\nshare = 0.5\ngpus = 2", "it is 1 unless 'gpus' is 1"),
        ("[[jobs]]\ncommand = ['a']\ncount = 0", "'count' cannot be 0"),
        ("[[jobs]]\ncommand = ['a']\nestimate = nan", "it is a finite number"),
        ("[[jobs]]\ncommand = ['a']\npreemptible = 1", "it is true or false"),
        ("jobs = 1", "wants \\[\\[jobs\\]\\] tables and nothing else, has jobs"),
        ("jobs = [1]", "number 1: wants a table"),
        ("", "has nothing"),
        ("[[jobs]", "not valid TOML"),
    ],
)
def test_a_file_of_jobs_with_a_slip(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=words) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_of_jobs_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read(tmp_path / "nothing.toml")
