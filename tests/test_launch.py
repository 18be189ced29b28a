"""One attempt at a job: real processes, real signals."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.vocabulary import Tuning
from gpuyard.executor import exits
from gpuyard.executor.emulated import visible
from gpuyard.executor.exits import Exits
from gpuyard.executor.interrupts import held_back
from gpuyard.executor.launch import Attempt, environment, launch
from gpuyard.traces.job import Job
from gpuyard.traces.trouble import BadInput
from processes import gone, until

GPUS = (Accelerator("GPU-1", "A100"), Accelerator("GPU-2", "A100"))
IGNORING = "trap '' TERM; echo ready; while :; do sleep 0.05; done"

Go = Callable[..., Attempt]


@pytest.fixture
def go(tmp_path: Path) -> Iterator[Go]:
    started: list[Attempt] = []

    def start(*command: str, number: int = 1, cwd: Path | None = None) -> Attempt:
        started.append(launch(Job(5, 0.0, 2, command=command), GPUS, tmp_path / "job", number, cwd))
        return started[-1]

    yield start
    for attempt in started:
        attempt.kill()
        finish(attempt)


def finish(attempt: Attempt, seconds: float = 5.0) -> int:
    limit = time.monotonic() + seconds
    while attempt.poll() is None:
        assert time.monotonic() < limit, "it does not end"
        time.sleep(0.005)
    assert attempt.code is not None
    return attempt.code


def test_what_a_job_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GPUYARD_EMULATED", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    told = environment(Job(5, 0.0), GPUS, tmp_path, 3)
    assert {key: told[key] for key in told if key.startswith(("CUDA", "NVIDIA", "GPUYARD"))} == {
        "CUDA_VISIBLE_DEVICES": "GPU-1,GPU-2",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "NVIDIA_VISIBLE_DEVICES": "GPU-1,GPU-2",
        "GPUYARD_JOB_ID": "5",
        "GPUYARD_ATTEMPT": "3",
        "GPUYARD_RESTARTS": "2",
        "GPUYARD_CHECKPOINT_DIR": str(tmp_path / "checkpoint"),
    }
    assert told["PATH"] == os.environ["PATH"]


def test_a_job_without_gpus_sees_none_and_an_emulated_one_knows(tmp_path: Path) -> None:
    assert environment(Job(5, 0.0, 0), (), tmp_path, 1)["CUDA_VISIBLE_DEVICES"] == ""
    emulated = (Accelerator("EMULATED-A100-0", "A100", emulated=True),)
    assert environment(Job(5, 0.0), emulated, tmp_path, 1)["GPUYARD_EMULATED"] == "1"


@pytest.mark.parametrize(
    ("tuning", "told"),
    [
        (None, {}),
        (Tuning(), {}),
        (Tuning("bf16"), {"GPUYARD_PRECISION": "bf16"}),
        (Tuning(compile=False), {"GPUYARD_COMPILE": "0"}),
        (Tuning(batch=1_048_576, watts=250.0), {"GPUYARD_BATCH": "1048576", "GPUYARD_WATTS": "250"}),
        (Tuning(compile=True, watts=187.5), {"GPUYARD_COMPILE": "1", "GPUYARD_WATTS": "187.5"}),
    ],
)
def test_a_job_is_told_what_its_tuning_says_and_no_more(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tuning: Tuning | None, told: dict[str, str]
) -> None:
    names = {"GPUYARD_PRECISION", "GPUYARD_COMPILE", "GPUYARD_BATCH", "GPUYARD_WATTS"}
    for name in names:
        monkeypatch.setenv(name, "of the job within which this session runs")
    found = environment(Job(5, 0.0), GPUS, tmp_path, 1, tuning)
    assert {name: found[name] for name in names & found.keys()} == told


def test_its_words_are_kept_over_attempts(go: Go, tmp_path: Path) -> None:
    for number in (1, 2):
        assert finish(go("sh", "-c", "echo $GPUYARD_ATTEMPT; echo no >&2; cat; pwd", number=number, cwd=tmp_path)) == 0
    out, err = tmp_path / "job" / "stdout.log", tmp_path / "job" / "stderr.log"
    assert out.read_text() == f"1\n{tmp_path}\n2\n{tmp_path}\n"
    assert err.read_text() == "no\nno\n"
    assert {stat.S_IMODE(log.stat().st_mode) for log in (out, err)} == {0o600}
    assert (tmp_path / "job" / "checkpoint").is_dir()


def test_arguments_reach_no_shell(go: Go, tmp_path: Path) -> None:
    finish(go("printf", "%s", "$HOME; `false` *"))
    assert (tmp_path / "job" / "stdout.log").read_text() == "$HOME; `false` *"


def test_exit_codes(go: Go) -> None:
    done, bad, killed = go("true"), go("sh", "-c", "exit 3"), go("sh", "-c", "kill -SEGV $$")
    assert [finish(a) for a in (done, bad, killed)] == [0, 3, -signal.SIGSEGV]
    assert [a.reason for a in (done, bad, killed)] == ["finished", "failed", "failed"]


@pytest.mark.parametrize("command", [("/nowhere/to/be/found",), ("a\0b",), (), ("/etc",)])
def test_what_cannot_be_started_has_failed(go: Go, tmp_path: Path, command: tuple[str, ...]) -> None:
    attempt = go(*command)
    assert attempt.poll() == 127
    assert attempt.reason == "failed"
    assert (tmp_path / "job" / "stderr.log").read_text().startswith("gpuyard: attempt 1 failed: cannot start ")
    attempt.stop(1)
    attempt.kill()


@pytest.mark.parametrize("code", [75, 85, 1])
def test_a_job_that_saves_its_work_is_preempted(go: Go, tmp_path: Path, code: int) -> None:
    saving = (
        f"trap 'echo saved > $GPUYARD_CHECKPOINT_DIR/it; exit {code}' TERM; echo ready; while :; do sleep 0.02; done"
    )
    attempt = go("sh", "-c", saving)
    until(lambda: (tmp_path / "job" / "stdout.log").read_text() == "ready\n")
    attempt.stop(5)
    assert finish(attempt) == code
    assert attempt.reason == "preempted"
    assert (tmp_path / "job" / "checkpoint" / "it").read_text() == "saved\n"
    words = "exit code 1" if code == 1 else f"checkpointed (exit code {code})"
    assert (tmp_path / "job" / "stderr.log").read_text().endswith(f"gpuyard: attempt 1 preempted: {words}\n")


def test_a_job_that_was_done_when_asked_is_finished(go: Go) -> None:
    attempt = go("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.02; done")
    time.sleep(0.1)
    attempt.stop(5)
    assert finish(attempt) == 0
    assert attempt.reason == "finished"


def test_a_job_that_had_failed_when_asked_has_failed(go: Go) -> None:
    attempt = go("false")
    until(lambda: attempt.pid is not None and gone(attempt.pid))
    attempt.stop(5)
    assert attempt.reason == "failed"


def test_a_deaf_job_is_killed_with_its_group(go: Go, tmp_path: Path) -> None:
    attempt = go("sh", "-c", f"sleep 60 & echo $!; {IGNORING}")
    log = tmp_path / "job" / "stdout.log"
    until(lambda: log.read_text().endswith("ready\n"))
    attempt.stop(0.1)
    time.sleep(0.15)
    assert attempt.poll() is None
    assert attempt.deadline < time.monotonic()
    attempt.kill()
    assert finish(attempt) == -signal.SIGKILL
    assert attempt.reason == "preempted"
    until(lambda: gone(int(log.read_text().split()[0])))


def test_a_frozen_job_hears_the_request(go: Go) -> None:
    attempt = go("sleep", "60")
    assert attempt.pid is not None
    os.kill(attempt.pid, signal.SIGSTOP)
    attempt.stop(5)
    assert finish(attempt) == -signal.SIGTERM


def test_what_a_job_leaves_behind_is_ended(go: Go, tmp_path: Path) -> None:
    assert finish(go("sh", "-c", "sleep 60 & echo $!")) == 0
    left = int((tmp_path / "job" / "stdout.log").read_text())
    until(lambda: gone(left))


def test_a_job_has_a_session_of_its_own(go: Go) -> None:
    attempt = go("sleep", "60")
    assert attempt.pid is not None
    assert os.getsid(attempt.pid) == os.getpgid(attempt.pid) == attempt.pid


def test_a_job_that_someone_else_reaped_has_failed(go: Go) -> None:
    attempt = go("true")
    assert attempt.pid is not None
    os.waitpid(attempt.pid, 0)
    assert (attempt.poll(), attempt.reason) == (255, "failed")


def test_an_interrupt_can_be_held_back() -> None:
    told: list[str] = []

    def interrupted() -> None:
        with held_back():
            signal.raise_signal(signal.SIGINT)
            told.append("the block was finished")
        told.append("this is not reached")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert told == ["the block was finished"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("blind", [False, True])
def test_sleep_ends_with_the_process(go: Go, monkeypatch: pytest.MonkeyPatch, blind: bool) -> None:
    if blind:
        monkeypatch.delattr(os, "pidfd_open")
    watch, attempt = Exits(), go("sleep", "0.1")
    assert attempt.pid is not None
    watch.watch(attempt.pid)
    began = time.monotonic()
    while attempt.poll() is None:
        watch.sleep(5.0)
    assert time.monotonic() - began < 2.0
    watch.forget(attempt.pid)
    began = time.monotonic()
    watch.sleep(0.05)
    assert exits.LOOK <= 0.05 <= time.monotonic() - began + 0.001


def test_an_outer_choice_of_gpus_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node("here", tuple(Accelerator(f"GPU-{n}abc", "T4") for n in range(3)))
    for words, left in (("GPU-1abc,0", ["GPU-1abc", "GPU-0abc"]), ("GPU-2", ["GPU-2abc"]), ("", [])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", words)
        assert [a.id for a in visible(node).accelerators] == left
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with pytest.raises(BadInput, match="'7' is none of the GPUs that are free"):
        visible(node)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible(node) == node
