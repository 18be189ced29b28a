"""FGD's table: pods come until enough was asked for, the ledger keeps count, the published figures come out again."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from real import REAL, needs_real

from gpuyard.envs.nodes import parse
from gpuyard.experiments import reproduce_fgd
from gpuyard.experiments.reproduce_fgd import MARKS, Reproduce, arrivals, command, play, reproduce, table
from gpuyard.experiments.rivals import RIVALS
from gpuyard.traces.data import beside
from gpuyard.traces.job import Job
from gpuyard.traces.openb import pods
from gpuyard.traces.trouble import BadInput

published = partial(beside, reproduce_fgd.__file__, "reproduce_fgd.toml")
OPENB = REAL / "alibaba-v2023-openb"
PODS = """name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec
p0,1000,1,1,500,
p1,1000,1,2,1000,
"""
NODES = """sn,cpu_milli,memory_mib,gpu,model
n0,64000,1000,2,T4
n1,64000,1000,2,T4
"""


def test_all_come_once_and_then_some_again_until_enough_was_asked_for() -> None:
    jobs = [Job(n, 0.0, n % 3, cpus=1.0) for n in range(30)]
    came = [*arrivals(jobs, 50_000, np.random.default_rng(3))]
    assert [job.id for job in came] == [int(job.submit) for job in came] == [*range(len(came))]
    assert sorted(job.gang for job in came[:30]) == sorted(job.gang for job in jobs)
    assert 63 <= sum(job.gang for job in came) <= 65, "1.3 times 50, and the next may have wanted two"
    assert (
        came
        == [*arrivals(jobs, 50_000, np.random.default_rng(3))]
        != [*arrivals(jobs, 50_000, np.random.default_rng(4))]
    )


def test_what_never_fits_is_dropped_and_counted() -> None:
    """Ten accelerators, pods of 0.6: one finds room on each, no two on one."""
    jobs = [Job(0, 0.0, share=0.6, cpus=1.0)]
    for name in RIVALS:
        done = play(name, jobs, parse("5x2:T4"), 42)
        assert (done.pods, done.refused) == (21, 11), "13 accelerators are 21 such pods; ten find room"
        assert done.ratios == pytest.approx((60, 60))


def test_exact_wholes_fill_a_cluster() -> None:
    done = play("BestFit", [Job(0, 0.0, 2, cpus=2.0)], parse("25x2:T4"), 1)
    assert (done.pods, done.refused, done.ratios) == (32, 7, (100.0, 100.0))


def test_a_pod_stands_on_one_node() -> None:
    """Pods of two on nodes of three: one of three is left on each."""
    done = play("FGD", [Job(0, 0.0, 2, cpus=2.0)], parse("10x3:T4"), 1)
    assert (done.pods, done.refused) == (19, 9)
    assert done.ratios == pytest.approx((200 / 3, 200 / 3))


def test_a_mark_that_nobody_meets_takes_what_was_before_it() -> None:
    done = play("BestFit", [Job(0, 0.0, 2, cpus=2.0)], parse("1x3:T4"), 1)
    assert done.pods == 1
    assert done.ratios == pytest.approx((200 / 3, 200 / 3))


def test_the_table_has_means_intervals_and_what_was_published() -> None:
    found = [play(name, [Job(0, 0.0, share=0.6)], parse("5x2:T4"), seed) for name in RIVALS for seed in (1, 2)]
    rows = table(found, {"FGD": [61.0, 59.0]})
    assert [row.placement for row in rows] == list(RIVALS)
    for row in rows:
        assert [(one.low, one.value, one.high) for one in row.here] == [pytest.approx((60, 60, 60))] * 2
        assert row.published == ((61.0, 59.0) if row.placement == "FGD" else (None, None))


def test_the_command_tells_the_table(tmp_path: Path) -> None:
    (tmp_path / "openb_pod_list_default.csv").write_text(PODS)
    (tmp_path / "nodes.csv").write_text(NODES)
    files = ["--pods", f"openb:{tmp_path}/openb_pod_list_default.csv", "--nodes", f"openb:{tmp_path}/nodes.csv"]
    words = [*files, "--seeds", "2", "--workers", "1", "--placement", "FGD", "--placement", "Random"]
    told = CliRunner().invoke(command, words, standalone_mode=False)
    assert told.return_value == 1, "two nodes are not 1,213: the ratios are far from the published ones"
    assert "95.23" in told.stdout
    unknown = [str(word).replace("openb_pod_list_default", "mine") for word in words]
    (tmp_path / "mine.csv").write_text(PODS)
    assert CliRunner().invoke(command, unknown, standalone_mode=False).return_value == 0, (
        "nothing was published of these pods"
    )
    document = json.loads(CliRunner().invoke(command, [*words, "--json"]).stdout)
    assert (document["pods"], document["marks"]) == ("default", list(MARKS))
    assert [row["published"] for row in document["rows"]] == [[95.23, 95.39], [86.3, 87.47]]
    assert [(run["placement"], run["seed"]) for run in document["runs"]] == [
        ("FGD", 42), ("FGD", 43), ("Random", 42), ("Random", 43),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"pods": "pods.csv"}, "--pods pods.csv: give openb: and a pod list"),
        ({"seeds": 0}, "--seeds 0: give 1 or more"),
        ({"placement": ("fgd",)}, "no placement 'fgd'"),
        ({"nodes": "cpus.toml"}, "a ratio of GPUs needs nodes and pods with some"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, words: dict[str, object], said: str) -> None:
    (tmp_path / "pods.csv").write_text(PODS)
    (tmp_path / "cpus.toml").write_text("[[nodes]]\ncpus = 4\n")
    if "nodes" in words:
        words = {"nodes": str(tmp_path / "cpus.toml")}
    with pytest.raises(BadInput, match=said):
        reproduce(Reproduce(**{"pods": f"openb:{tmp_path}/pods.csv", "nodes": "1x2:T4"} | words))  # type: ignore[arg-type]


def test_every_published_row_is_one_that_is_played() -> None:
    for rows in published().values():
        assert list(rows) == [*RIVALS][:6]
        assert all(70 < below <= above < 100 for below, above in rows.values())


@needs_real
@pytest.mark.slow
@pytest.mark.parametrize("name", ["Random", "BestFit", "FGD"])
def test_a_seed_comes_out_as_published(name: str) -> None:
    """Single seeds of the published ten scatter by 0.1 (FGD) to 0.3 (Random) around their mean."""
    nodes = parse(f"openb:{OPENB / 'openb_node_list_gpu_node.csv'}")
    done = play(name, pods(OPENB / "openb_pod_list_default.csv.gz"), nodes, 42)
    assert done.ratios == pytest.approx(published()["default"][name], abs=1.0 if name == "Random" else 0.5)
