"""What a policy's card says of where it was compared: losses as plainly as wins, and once for each place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpuyard.envs.codec import Starts
from gpuyard.envs.features import ROW
from gpuyard.experiments import compare
from gpuyard.experiments.compare import Compare
from gpuyard.experiments.contest import identity
from gpuyard.policies.learned import load, of_rule, save, told_of
from gpuyard.policies.teachers import TEACHERS
from gpuyard.traces.trouble import BadInput

SPEC = "synthetic:philly,jobs=1500,largest=8"


@pytest.fixture
def longest(tmp_path: Path) -> Path:
    """A policy that starts the longest first, which shortest first cannot lose to."""
    rule, waiting = TEACHERS["shortest"].line(ROW)
    rule[ROW.index("estimate")] *= -1.0
    save(tmp_path / "longest", of_rule(rule, waiting - 64.0), {"codec": told_of(Starts(32)), "network": {"width": 1}})
    return tmp_path / "longest"


def versus(longest: Path, tmp_path: Path, **changes: object) -> Compare:
    told = {
        "policy": (str(longest), "sjf", "fifo"), "out": tmp_path / "out", "trace": SPEC, "cluster": "1x8:V100",
        "estimates": "exact", "windows": 4, "jobs": 60, "warmup": 20, "workers": 1, "note": True,
    }  # fmt: skip
    return Compare(**(told | changes))  # type: ignore[arg-type]


def test_a_card_carries_how_the_policy_did_beside_the_best_rule(longest: Path, tmp_path: Path) -> None:
    """Twice compared alike is told once; another load is told beside it; what it decides is what it was."""
    before = identity(str(longest))
    assert compare.run(versus(longest, tmp_path)) == 0
    assert compare.run(versus(longest, tmp_path)) == 0
    (slowdown, jct) = load(longest).card["compared"]
    assert (slowdown["metric"], jct["metric"]) == ("mean_bounded_slowdown", "mean_jct")
    document = json.loads((tmp_path / "out" / "comparison.json").read_text())
    rows = {row["policy"]: row["means"]["mean_jct"]["value"] for row in document["by_load"][0]["policies"]}
    assert (jct["mean"], jct["its_mean"]) == (rows[str(longest)], rows[jct["best_rule"]])
    assert jct["its_mean"] == min(rows["sjf"], rows["fifo"])
    assert jct["its_over_mine"]["value"] == pytest.approx(jct["its_mean"] / jct["mean"])
    assert jct["verdict"] == ("loss" if jct["its_over_mine"]["high"] < 1 else "tie")
    assert compare.run(versus(longest, tmp_path, load=(2.0,), out=tmp_path / "more")) == 0
    assert [one["load"] for one in load(longest).card["compared"]] == [1.0, 1.0, 2.0, 2.0]
    assert identity(str(longest)) == before


def test_only_a_learned_reference_has_a_card(longest: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--note: the reference sjf is no folder of a learned policy"):
        compare.run(versus(longest, tmp_path, reference="sjf"))
    assert not (tmp_path / "out").exists()


def test_parts_of_a_trace_are_told_apart(longest: Path, tmp_path: Path) -> None:
    for part in ("test", "validation"):
        windows = {"windows": 2, "jobs": 20, "warmup": 5, "out": tmp_path / part, "part": part}
        assert compare.run(versus(longest, tmp_path, **windows)) == 0
    assert [one["part"] for one in load(longest).card["compared"]] == ["test", "test", "validation", "validation"]
