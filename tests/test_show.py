"""`gpuyard show`: a log in, a picture and all metrics out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Command

from gpuyard.envs.log import Log
from gpuyard.envs.metrics import breakdown, summary
from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import Measured, Sample, Start, Stopped, Submitted
from gpuyard.traces.job import Job


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two jobs of two tenants on one emulated accelerator that draws 360 W: the second waits an hour for the first."""
    one, seat = (Node("n0", (Accelerator("n0/0", "A100", emulated=True),)),), (("n0", ("n0/0",)),)
    entries = [
        Measured(0.0, (Sample("n0/0", 0.5, None, 360.0),)),
        Submitted(0.0, Job(1, 0.0, tenant="a")),
        Submitted(0.0, Job(2, 0.0, tenant="b", deadline=7200.0)),
        Start(1, seat),
        Stopped(3600.0, 1, "finished", 3500.0),
        Start(2, seat),
        Stopped(7200.0, 2, "finished", 3600.0),
    ]
    path = tmp_path / "day.jsonl"
    Log(one, entries, Tenants((Tenant("a"), Tenant("b")))).write(path)  # type: ignore[arg-type]
    return path


def test_a_log_is_shown_and_drawn_beside_it(gpuyard: Command, log: Path) -> None:
    code, out, err = gpuyard("show", log)
    assert (code, err) == (0, "")
    assert log.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    said = [" ".join(line.split()) for line in out.splitlines()]
    assert said[0] == "emulated 1x1:A100: 2 jobs, 120.0 minutes"
    assert "jobs 2: 2 finished" in said
    assert "use held 100.0% of what was up, measured busy 50.0%, goodput 98.6%" in said
    assert "work held 2.0 accelerator-hours: kept 2.0, overhead 0.0, lost 0.0" in said
    # Each tenant's part is half an accelerator, on which its job would take twice as long.
    # Alone they would end at 7000 and 7200; here they took 3600 and 7200.
    assert "fairness T shared / T isolated at most 1.00, p95 0.98, Jain 0.907" in said
    assert "cost 0.72 kWh" in said
    names = [line.split()[:2] for line in out.splitlines() if line.startswith(("  all", "  gang", "  tenant"))]
    assert names == [["all", "2"], ["gang", "1"], ["tenant", "a"], ["tenant", "b"]]
    assert said[-1] == f"picture {log.with_suffix('.png')}"


def test_all_metrics_are_one_json_object_and_nothing_is_drawn_unasked(gpuyard: Command, log: Path) -> None:
    code, out, err = gpuyard("show", log, "--json")
    assert (code, err) == (0, "")
    found, read = json.loads(out), Log.read(log)
    assert found["picture"] is None
    assert [path.name for path in log.parent.iterdir()] == [log.name]
    whole = summary(read).as_dict()
    assert {name: found[name] for name in whole} == json.loads(json.dumps(whole))
    assert found["by_tenant"] == json.loads(
        json.dumps({n: t.as_dict() for n, t in breakdown(read)["by_tenant"].items()})
    )
    assert list(found["by_gang"]) == ["1"]
    assert found["deadlines_met"] == 1.0
    gpuyard("show", log, "--json", "--out", log.with_name("there.svg"))
    assert log.with_name("there.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_of_a_log_that_has_only_begun_nothing_is_said_of_use(gpuyard: Command, tmp_path: Path) -> None:
    Log((Node("n0", (Accelerator("n0/0", "A100"),)),)).write(tmp_path / "head.jsonl")
    code, out, err = gpuyard("show", tmp_path / "head.jsonl")
    assert (code, err) == (0, "")
    assert "jobs       0: none ended" in out
    assert "\nuse" not in out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--out", "x.gif"), "--out x.gif: ends in none of .png, .svg, .pdf"),
        (("--rows", "0"), "--rows 0: give 1 or more"),
    ],
)
def test_what_cannot_be_drawn_is_refused(gpuyard: Command, log: Path, words: tuple[str, ...], why: str) -> None:
    code, out, err = gpuyard("show", log, *words)
    assert (code, out) == (2, "")
    assert why in err


def test_a_log_that_is_none_is_refused(gpuyard: Command, log: Path, tmp_path: Path) -> None:
    assert gpuyard("show", tmp_path / "nothing.jsonl")[0] == 2
    rows = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text("".join([*rows[:3], *rows[4:]]), encoding="utf-8")  # the second submission is missing
    code, out, err = gpuyard("show", log)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "do not follow from each other" in err


def test_where_nothing_can_be_written_it_is_said(gpuyard: Command, log: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    code, _, err = gpuyard("show", log, "--out", tmp_path / "file" / "x.png")
    assert code == 2
    assert "choose another --out" in err
