"""How a live session is left: by its end, by an interrupt or two, and by a copy that owns nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gpuyard.envs.vocabulary import InvalidDecision, Start, Stopped
from gpuyard.executor.live import LiveWorld
from gpuyard.traces.job import Job
from processes import DEAF, gone, until
from worlds import FREE, NODES, placement


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
