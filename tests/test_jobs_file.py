"""Files of jobs, as `gpuyard run` reads them: all that they can say, and each slip in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpuyard.executor.jobs import read
from gpuyard.traces.job import Job
from gpuyard.traces.trouble import BadInput


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
