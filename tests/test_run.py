"""`gpuyard run`: real processes, placed by a policy, on GPUs that are emulated and called so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpuyard.envs.log import Log
from gpuyard.envs.vocabulary import Measured

JOBS = """
[[jobs]]
name = "sweep-{index}"
command = ["PYTHON", "-c", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"]
estimate = 1
count = 3

[[jobs]]
name = "gang"
gpus = 2
estimate = 2
command = ["PYTHON", "-c", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"]
"""


def gpuyard(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gpuyard", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    (tmp_path / "jobs.toml").write_text(JOBS.replace("PYTHON", sys.executable))
    return tmp_path


def test_it_runs_all_jobs_and_says_that_the_gpus_are_emulated(jobs: Path) -> None:
    done = gpuyard("run", "--policy", "sjf", "--gpus", "emulated:2xA100", "--out", "o", "jobs.toml", folder=jobs)
    assert done.returncode == 0, done.stderr
    assert "emulated" in done.stdout
    assert "emulated" in done.stderr
    assert (jobs / "o" / "job-3" / "stdout.log").read_text() == "EMULATED-A100-0,EMULATED-A100-1\n"
    log = Log.read(jobs / "o" / "session.jsonl")
    assert log.replay().state()["running"] == {}
    assert all(a.emulated for node in log.nodes for a in node.accelerators)
    assert not [e for e in log.entries if isinstance(e, Measured)], "nothing is invented of what has no hardware"
    assert "drew" not in done.stdout


def test_tuned_jobs_find_how_to_use_what_they_got(jobs: Path) -> None:
    words = "print(*(os.environ.get('GPUYARD_' + word) for word in ('PRECISION', 'COMPILE', 'BATCH', 'WATTS')))"
    command = json.dumps([sys.executable, "-c", f"import os; {words}"])
    (jobs / "jobs.toml").write_text(f'[[jobs]]\nprofile = "resnet"\ncommand = {command}\n')
    for how, said in (("--tuned", "bf16 1 None None\n"), ("--json", "None None None None\n")):
        told = gpuyard(
            "run", "--policy", "fifo", "--gpus", "emulated:1xA100", how, "--out", how[2:], "jobs.toml", folder=jobs
        )
        assert told.returncode == 0, told.stderr
        assert (jobs / how[2:] / "job-0" / "stdout.log").read_text() == said


def test_json_tells_each_job_and_a_failure_is_exit_code_1(jobs: Path) -> None:
    with (jobs / "jobs.toml").open("a") as file:
        file.write(f'\n[[jobs]]\nname = "bad"\ncommand = ["{sys.executable}", "-c", "raise SystemExit(3)"]\n')
    done = gpuyard("run", "--policy", "fifo", "--gpus", "emulated:2xA100", "--json", "jobs.toml", folder=jobs)
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert [row["state"] for row in told["runs"]] == ["finished"] * 4 + ["failed"]
    assert told["cluster"] == "emulated 1x2:A100"
    assert told["finished"] == 4
    assert Path(jobs / told["log"]).exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--policy", "sjf", "--gpus", "emulated:1xA100", "jobs.toml"), "needs 2 accelerators"),
        (("--policy", "srft", "--gpus", "emulated:2xA100", "jobs.toml"), "Did you mean 'srtf'?"),
        (("--policy", "fifo", "--gpus", "emulated:2A100", "jobs.toml"), "2A100"),
        (("--policy", "fifo", "--gpus", "emulated:2xA100", "none.toml"), "none.toml"),
        (("--policy", "fifo", "--gpus", "emulated:2xA100"), "JOBS"),
        (("--policy", "fifo", "--gpus", "emulated:2xA100", "--grace", "-1", "jobs.toml"), "--grace"),
        (("--policy", "fifo", "--gpus", "emulated:2xA100", "--measure", "-1", "jobs.toml"), "--measure"),
    ],
)
def test_bad_input_is_one_line_and_starts_nothing(jobs: Path, words: tuple[str, ...], why: str) -> None:
    done = gpuyard("run", *words, folder=jobs)
    assert done.returncode == 2
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(p.name for p in jobs.iterdir()) == ["jobs.toml"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_what_it_started_and_keeps_the_log(tmp_path: Path, how: signal.Signals) -> None:
    program = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    (tmp_path / "jobs.toml").write_text(f'[[jobs]]\ncommand = ["{sys.executable}", "-c", "{program}"]\n')
    words = [
        sys.executable,
        "-m",
        "gpuyard",
        "run",
        "--policy",
        "fifo",
        "--gpus",
        "emulated:1xT4",
        "--out",
        "o",
        "jobs.toml",
    ]
    process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    written = tmp_path / "o" / "job-0" / "stdout.log"
    end = time.monotonic() + 20
    while not (written.exists() and written.read_text().endswith("\n")) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(how)
    process.communicate(timeout=20)
    assert process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(written.read_text()), 0)
    log = Log.read(tmp_path / "o" / "session.jsonl")
    assert [type(entry).__name__ for entry in log.entries] == ["Submitted", "Start", "Stopped"]
    assert not len(log.replay().running)
