"""The live world and the debug world: the contract of worlds, and what is theirs alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from test_launch import gone, until

from gpuyard.envs.log import Log
from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import (
    InvalidDecision,
    Measured,
    Preempt,
    Sample,
    Start,
    Stopped,
    Submitted,
    Tick,
    Tuning,
)
from gpuyard.executor.debug import DebugWorld
from gpuyard.executor.eyes import Eyes
from gpuyard.executor.jobs import read
from gpuyard.executor.live import LiveWorld
from gpuyard.executor.nvml import NoDriver, Nvml
from gpuyard.executor.reading import Partition, Reading
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
        tell = 'printf %s "$CUDA_VISIBLE_DEVICES"; env | grep ^GPUYARD_ >&2'
        return ("sh", "-c", f"{tell}; sleep {ask.seconds * self.second}; exit {3 if ask.fails else 0}")

    def seen(self, job: int, folder: Path) -> str:
        return (folder / f"job-{job}" / "stdout.log").read_text()

    def told(self, job: int, folder: Path) -> Tuning:
        lines = (folder / f"job-{job}" / "stderr.log").read_text().splitlines()
        found = dict(line.removeprefix("GPUYARD_").split("=", 1) for line in lines)
        how = found["COMPILE"] == "1"
        return Tuning(found["PRECISION"], how, int(found["BATCH"]), float(found["WATTS"]))


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


class Told(Nvml):
    """A driver that tells one list of readings after the other, then the last for ever; None for no driver."""

    def __init__(self, *looks: list[Reading] | None) -> None:
        super().__init__()
        self.looks, self.asked, self.closed = list(looks), 0, False

    def readings(self) -> list[Reading]:
        self.asked += 1
        told = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if told is None:
            raise NoDriver("gone")
        return told

    def close(self) -> None:
        self.closed = True


def real(*names: str) -> tuple[Node, ...]:
    return (Node("n0", tuple(Accelerator(name, "A100") for name in names)),)


def test_eyes_tell_what_is_there_and_none_of_what_is_not() -> None:
    first = [Reading(0, "GPU-0", watts=60.0, gpu_busy=0.0, memory_used=0, link_sent=1000), Reading(1, "GPU-1")]
    busy = [Reading(0, "GPU-0", watts=300.0, gpu_busy=0.9, memory_used=7, link_sent=5000), Reading(2, "GPU-2")]
    eyes = Eyes(real("GPU-1", "GPU-0", "EMULATED-A100-0"), Told(first, first, busy, busy, None, busy))
    assert eyes.watched == ("GPU-1", "GPU-0"), "what no driver shows is not told of, nor what is not ours"
    assert eyes.look(10.0) == Measured(10.0, (Sample("GPU-1"), Sample("GPU-0", 0.0, 0, 60.0)))
    seen = Sample("GPU-0", 0.9, 7, 300.0, 2000.0)  # 4000 bytes in 2 s
    assert eyes.look(12.0) == Measured(12.0, (Sample("GPU-1"), seen))
    assert eyes.look(13.0).samples[1].link == 0.0
    assert eyes.look(14.0) == Measured(14.0, (Sample("GPU-1"), Sample("GPU-0"))), "the driver is gone, and no crash"
    assert eyes.look(16.0).samples[1] == Sample("GPU-0", 0.9, 7, 300.0, 0.0), "the counter did not grow over 3 s"


def test_a_counter_that_began_anew_or_was_unknown_tells_no_traffic() -> None:
    counts = [0, 100, 50, 80, None, 90, 100]
    eyes = Eyes(real("GPU-0"), Told(*([Reading(0, "GPU-0", link_sent=count)] for count in counts)))
    assert [eyes.look(float(t)).samples[0].link for t in range(1, 7)] == [None, None, 30.0, None, None, 10.0]


def test_a_mig_device_tells_its_memory_alone() -> None:
    parts = (Partition("MIG-1", "A100-MIG-1g.5gb", memory_used=5), Partition("MIG-2", "A100-MIG-1g.5gb"))
    cut = Reading(0, "GPU-0", watts=200.0, mig=True, partitions=parts)
    eyes = Eyes(real("MIG-1", "MIG-2"), Told([cut], [cut], [Reading(0, "GPU-0", trouble="lost")]))
    assert eyes.look(1.0).samples == (Sample("MIG-1", memory=5), Sample("MIG-2"))
    assert eyes.look(2.0).samples == (Sample("MIG-1"), Sample("MIG-2"))


def test_it_looks_every_so_often_and_the_ledger_adds_up_the_energy(tmp_path: Path) -> None:
    nodes, nvml = real("GPU-0", "GPU-1"), Told([Reading(0, "GPU-0", watts=100.0), Reading(1, "GPU-1", watts=50.0)])
    jobs = [Job(0, 0.05, command=("sleep", "0.4")), Job(1, 0.1, command=("sleep", "0.1"))]
    with LiveWorld(nodes, jobs, tmp_path / "s", every=0.1, eyes=Eyes(nodes, nvml)) as world:
        session = Session(world)
        log = session.play(FIFO)
        assert not world.wait(), "nothing runs and none is to come: no looks any more"
    assert nvml.closed
    looks = [e.time for e in log.entries if isinstance(e, Measured)]
    assert len(looks) == nvml.asked - 1 >= 2
    assert isinstance(log.entries[0], Measured), "it looks before anything runs"
    assert all(after - before >= 0.1 for before, after in pairwise(looks))
    drawn = 150.0 * (session.cluster.now - looks[0])  # 100 W and 50 W, from the first look to the last event
    assert session.cluster.meter.joules == pytest.approx(drawn, rel=1e-9)
    log.write(tmp_path / "log.jsonl")
    again = Log.read(tmp_path / "log.jsonl")
    assert again.entries == log.entries
    assert again.replay().state() == session.cluster.state()


def test_a_gpu_lost_on_the_way_draws_nothing_that_is_known(tmp_path: Path) -> None:
    nodes, there = real("GPU-0"), [Reading(0, "GPU-0", watts=100.0)]
    nvml = Told(there, there, [Reading(0, "GPU-0", trouble="lost")])
    jobs = [Job(0, 0.0, command=("sleep", "0.5"))]
    with LiveWorld(nodes, jobs, tmp_path / "s", every=0.1, eyes=Eyes(nodes, nvml)) as world:
        log = Session(world).play(FIFO)
    looks = [e for e in log.entries if isinstance(e, Measured)]
    assert [e.samples[0].watts for e in looks[:2]] == [100.0, None]
    end = next(e for e in log.entries if isinstance(e, Stopped))
    assert log.entries.index(looks[1]) < log.entries.index(end), "it looks while nothing else happens"
    assert log.replay().meter.joules == pytest.approx(100.0 * (looks[1].time - looks[0].time), rel=1e-9)


def test_without_looks_and_where_nothing_can_be_seen_nothing_is_told(tmp_path: Path) -> None:
    nvml = Told([Reading(0, "GPU-0", watts=100.0)])
    jobs = [Job(0, 0.0, command=("sleep", "0.2"))]
    for number, eyes in enumerate((None, Eyes(NODES, nvml), Eyes(NODES, Told(None)))):
        every = None if eyes is None else 0.05
        with LiveWorld(NODES, jobs, tmp_path / f"{number}", every=every, eyes=eyes) as world:
            log = Session(world).play(FIFO)
        assert [type(e) for e in log.entries] == [Submitted, Start, Stopped]
        assert log.replay().meter.joules is None
    assert nvml.asked == 1


@pytest.mark.parametrize("every", [0.0, -1.0, float("inf"), float("nan")])
def test_looks_that_cannot_be(tmp_path: Path, every: float) -> None:
    with pytest.raises(BadInput, match="seconds above 0"):
        LiveWorld(NODES, [], tmp_path / "s", every=every)
    assert not (tmp_path / "s").exists()


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
gpu_memory_gib = 20
estimate = 600
deadline = 3600
profile = "resnet"
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
            kinds=("A100", "A100-80GB", "H100"),
            cpus=8.0,
            host_memory=3 * 2**29,
            memory=20 * 2**30,
            deadline=3600.0,
            profile="resnet",
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
        ("[[jobs]]\ncommand = ['a']\nprofile = ''", "'profile' cannot be ''; it is a word"),
        ("[[jobs]]\ncommand = ['a']\nprofile = 3", "'profile' cannot be 3; it is a string"),
        ("[[jobs]]\ncommand = ['a']\ngpu_memory_gib = -1", "'gpu_memory_gib' cannot be -1; it is 0 or more"),
        ("[[jobs]]\ncommand = ['a']\ndeadline = -1", "'deadline' cannot be -1; it is 0 or more"),
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
