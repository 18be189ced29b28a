"""Whatever a user gets wrong: exit code 2, one line on stderr that says what and where, nothing on stdout."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gpuyard import __main__

HEAD = "timestamp,duration,num_gpus,gpu_time,cluster\n"
GOOD = "2017-10-09 07:01:55,66.0,1,66.0,a\n"
FILES = {
    "good.csv": HEAD + GOOD,
    "nan.csv": HEAD + GOOD + "2017-10-09 07:02:55,nan,1,66.0,a\n",
    "text.csv": HEAD + GOOD + "2017-10-09 07:02:55,long,1,66.0,a\n",
    "short.csv": HEAD + GOOD + "2017-10-09 07:02:55,66.0\n",
    "large.csv": HEAD + GOOD + "2017-10-09 07:02:55,66.0,64,66.0,a\n",
    "empty.csv": "",
    "negative.csv": "submit,duration\n0,10\n5,-3\n",
    "before.csv": "submit,duration\n-4,10\n",
    "torn/policy.json": '{"gpuyard_policy": 1, "codec',
    "bare/notes.txt": "",
    "patience.toml": "patience = -5\n[[nodes]]\ncount = 2\n[tenants.a]\nquota = 2\n",
    "seed.toml": "seed = -1\n[[nodes]]\ncount = 2\n[laws.failures]\n",
    "shape.toml": "[[nodes]]\ncount = 2\n[laws.failures]\nshape = 0.001\n",
    "young.toml": "[[nodes]]\ncount = 2\n[laws.checkpoints]\ninterval = 0\nmtbf = -5\n",
    "recorded.toml": '[[nodes]]\naccelerators = 1\nkind = "V100"\n[laws.failures]\nrecorded = "gone.csv"\n',
    "trace.toml": 'trace = "philly:gone.csv"\n[[nodes]]\ncount = 2\n',
}
TRACE = ("--trace", "philly:good.csv")
CLUSTER = ("--cluster", "1x2:V100")
FIFO = ("--policy", "fifo")
CASES = {
    "missing file": (("simulate", "--trace", "philly:gone.csv", *CLUSTER, *FIFO), ("gone.csv", "no such file")),
    "a folder": (("simulate", "--trace", "philly:.", *CLUSTER, *FIFO), ("folder",)),
    "unknown format": (("simulate", "--trace", "phily:good.csv", *CLUSTER, *FIFO), ("phily", "'philly'")),
    "wrong format": (("simulate", "--trace", "swf:good.csv", *CLUSTER, *FIFO), ("good.csv", "line 1")),
    "empty file": (("simulate", "--trace", "philly:empty.csv", *CLUSTER, *FIFO), ("empty.csv", "empty")),
    "NaN": (("simulate", "--trace", "philly:nan.csv", *CLUSTER, *FIFO), ("nan.csv", "line 3", "duration")),
    "text for a number": (("simulate", "--trace", "philly:text.csv", *CLUSTER, *FIFO), ("line 3", "duration", "long")),
    "torn row": (("simulate", "--trace", "philly:short.csv", *CLUSTER, *FIFO), ("short.csv", "line 3")),
    "negative duration": (("simulate", "--trace", "table:negative.csv", *CLUSTER, *FIFO), ("line 3", "duration")),
    "negative time": (("simulate", "--trace", "table:before.csv", *CLUSTER, *FIFO), ("line 2", "submit")),
    "too large a gang": (
        ("simulate", "--trace", "philly:large.csv", *CLUSTER, *FIFO),
        ("job 2", "64", "--oversized skip"),
    ),
    "unknown preset": (("simulate", "--trace", "synthetic:phily", *CLUSTER, *FIFO), ("phily", "'philly'")),
    "unknown policy": (("simulate", *TRACE, *CLUSTER, "--policy", "fifoo"), ("fifoo", "'fifo'")),
    "torn policy": (("simulate", *TRACE, *CLUSTER, "--policy", "torn"), ("torn/policy.json", "torn")),
    "no policy's folder": (("simulate", *TRACE, *CLUSTER, "--policy", "bare"), ("bare", "policy.json")),
    "policy twice": (("simulate", *TRACE, *CLUSTER, *FIFO, *FIFO), ("fifo", "twice")),
    "unknown placement": (("simulate", *TRACE, *CLUSTER, *FIFO, "--placement", "paked"), ("paked", "packed")),
    "unknown estimates": (("simulate", *TRACE, *CLUSTER, *FIFO, "--estimates", "exakt"), ("exakt", "exact")),
    "sjf without estimates": (
        ("simulate", *TRACE, *CLUSTER, "--policy", "sjf"),
        ("sjf", "--estimates predicted", "noisy:SIGMA"),
    ),
    "typo in a cluster": (("simulate", *TRACE, "--cluster", "1x2V100", *FIFO), ("1x2V100", "60x8:V100")),
    "no cluster file": (("simulate", *TRACE, "--cluster", "gone.toml", *FIFO), ("gone.toml",)),
    "missing option": (("simulate", *TRACE, *FIFO), ("--cluster",)),
    "unknown option": (("simulate", *TRACE, *CLUSTER, *FIFO, "--polcy", "x"), ("--polcy",)),
    "text for a count": (("simulate", *TRACE, *CLUSTER, *FIFO, "--limit", "ten"), ("--limit", "ten")),
    "no count": (("simulate", *TRACE, *CLUSTER, *FIFO, "--limit", "0"), ("--limit", "1 or more")),
    "negative cost": (("simulate", *TRACE, *CLUSTER, *FIFO, "--restart-cost", "-1"), ("--restart-cost",)),
    "log is a folder": (("simulate", *TRACE, *CLUSTER, *FIFO, "--log", "."), ("--log",)),
    "unknown command": (("simulat",), ("simulat", "'simulate'")),
    "patience": (("scenario", "check", "patience.toml"), ("patience.toml", "'patience' cannot be -5")),
    "patience at work": (
        ("simulate", *TRACE, "--scenario", "patience.toml", *FIFO),
        ("patience.toml", "'patience' cannot be -5"),
    ),
    "seed": (("simulate", *TRACE, "--scenario", "seed.toml", *FIFO), ("seed.toml", "'seed' cannot be -1")),
    "shape": (("scenario", "check", "shape.toml"), ("shape.toml", "laws.failures: shape = 0.001")),
    "mtbf": (("scenario", "check", "young.toml"), ("young.toml", "laws.checkpoints: mtbf = -5.0")),
    "recorded": (("scenario", "check", "recorded.toml"), ("recorded.toml", "laws.failures.recorded", "gone.csv")),
    "recorded at work": (
        ("simulate", *TRACE, "--scenario", "recorded.toml", *FIFO),
        ("recorded.toml", "laws.failures.recorded", "gone.csv"),
    ),
    "scenario's trace": (("scenario", "check", "trace.toml"), ("trace.toml: trace: ", "gone.csv")),
    "scenario's trace at work": (("simulate", "--scenario", "trace.toml", *FIFO), ("trace.toml: trace: ", "gone.csv")),
    "one policy to compare": (("compare", *TRACE, *CLUSTER, *FIFO, "--out", "o"), ("--policy",)),
    "stranger as reference": (
        ("compare", *TRACE, *CLUSTER, *FIFO, "--policy", "las", "--out", "o", "--reference", "lass"),
        ("lass", "'las'"),
    ),
    "too short to compare": (("compare", *TRACE, *CLUSTER, *FIFO, "--policy", "las", "--out", "o"), ("good", "job")),
    "one window": (
        ("compare", *TRACE, *CLUSTER, *FIFO, "--policy", "las", "--out", "o", "--windows", "1"),
        ("--windows", "2 or more"),
    ),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_line(
    case: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    words, told = CASES[case]
    monkeypatch.setattr(sys, "argv", ["gpuyard", *words])
    with pytest.raises(SystemExit) as end:
        __main__.main()
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (2, "")
    assert_one_line(err, told)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == set(FILES), (
        "nothing is left"
    )


@pytest.mark.parametrize("case", ["NaN", "unknown policy", "missing option"])
def test_so_it_is_for_a_shell(case: str, folder: Path) -> None:
    words, told = CASES[case]
    done = subprocess.run(
        [sys.executable, "-m", "gpuyard", *words], check=False, capture_output=True, text=True, cwd=folder
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_line(done.stderr, told)


def assert_one_line(err: str, told: Sequence[str]) -> None:
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for word in told:
        assert word in err
