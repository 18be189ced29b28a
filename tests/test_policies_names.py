"""A policy is found by the name one would give it, and a name that is none is answered in one sentence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.placement import packed, spread
from gpuyard.envs.scenario import of_cluster
from gpuyard.envs.session import Policy
from gpuyard.experiments.missing import check_needs
from gpuyard.experiments.names import all_placements, all_policies, place, policy
from gpuyard.policies.backfill import Easy, easy
from gpuyard.policies.orders import fifo, sjf, wfp3
from gpuyard.policies.preemptive import srtf
from gpuyard.policies.ranked import Ranked
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput

MINE = """
from gpuyard.policies.ranked import Ranked

class Kind:
    def decide(self, cluster):
        return []

mine = Ranked(lambda job, cluster: -(job.priority or 0))
plain = Kind()
number = 7
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_own").mkdir()
    (tmp_path / "my_own" / "policies.py").write_text(MINE)
    (tmp_path / "my_own" / "broken.py").write_text("import nothing_of_that_name\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield
    for name in [name for name in sys.modules if name.startswith("my_own")]:
        del sys.modules[name]


def test_what_is_shipped_is_found_by_itself() -> None:
    known = all_policies()
    assert {"fifo", "sjf", "ljf", "saf", "sqf", "wfp3", "unicep", "f1", "easy", "srtf", "las"} <= set(known)
    assert known["fifo"] is policy("fifo") is fifo
    assert set(all_placements()) == {"packed", "first_fit", "consolidated", "spread"}
    assert place("packed") is packed


def test_which_need_estimates() -> None:
    needy = {name for name, one in all_policies().items() if "estimates" in getattr(one, "needs", ())}
    assert {"sjf", "ljf", "saf", "f1", "wfp3", "unicep", "easy", "srtf", "conservative", "rollout", "qssf"} <= needy
    assert not {"fifo", "sqf", "las", "tiresias"} & needy


def test_easy_takes_the_order_of_another() -> None:
    assert policy("easy(sjf)") == Easy(sjf.score)
    assert policy("easy(wfp3)") == Easy(wfp3.score)
    assert policy("easy(fifo)") == easy


@pytest.mark.parametrize("name", ["fifo", "easy", "easy(saf)", "srtf", "las"])
def test_another_placement_leaves_the_rest_as_it_was(name: str) -> None:
    found = policy(name, "spread")
    assert found.place is spread  # type: ignore[attr-defined]
    assert policy(name).place is packed  # type: ignore[attr-defined]


@pytest.mark.usefixtures("mine")
def test_a_module_of_ones_own_is_found_from_where_one_stands() -> None:
    found = policy("my_own.policies:mine", "spread")
    assert isinstance(found, Ranked)
    assert found.place is spread
    assert isinstance(policy("easy(my_own.policies:mine)"), Easy)
    assert list(policy("my_own.policies:plain").decide(None)) == []  # type: ignore[arg-type]


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("name", "placement", "told"),
    [
        ("fifi", None, "no policy 'fifi'. Did you mean 'fifo'?"),
        ("easy(fifi)", None, "no policy 'fifi'. Did you mean 'fifo'?"),
        ("eazy(fifo)", None, "no policy 'eazy'. Did you mean 'easy'?"),
        ("easy(srtf)", None, "policy 'easy(srtf)': 'srtf' is not an order; choose one such as fifo, sjf or wfp3"),
        ("fifo(sjf)", None, "policy 'fifo' has no order that could be changed"),
        ("fifo", "pakced", "no placement 'pakced'. Did you mean 'packed'?"),
        ("my_own", None, "my_own holds no policy.json; give the folder that a training wrote, or a policy's name"),
        ("my_own.nothing:mine", None, "policy 'my_own.nothing:mine': my_own.nothing cannot be imported"),
        ("my_own.broken:mine", None, "my_own.broken cannot be imported (No module named 'nothing_of_that_name')"),
        ("my_own.policies:mime", None, "my_own.policies has no 'mime'. Did you mean 'mine'?"),
        ("my_own.policies:number", None, "policy 'my_own.policies:number' has no decide(cluster)"),
        ("my_own.policies:Kind", None, "policy 'my_own.policies:Kind' has no decide(cluster), or is a class"),
        ("my_own.policies:plain", "spread", "policy 'my_own.policies:plain' has no place that could be changed"),
        (":", None, "policy ':': "),
    ],
)
def test_a_wrong_name_is_answered_in_one_sentence(name: str, placement: str | None, told: str) -> None:
    with pytest.raises(BadInput) as caught:
        policy(name, placement)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def trace(*estimates: float | None) -> Trace:
    return Trace(
        tuple(Job(n, 0.0, estimate=e) for n, e in enumerate(estimates)), dict.fromkeys(range(len(estimates)), 1.0), "t"
    )


def test_missing_estimates_are_said_before_anything_runs() -> None:
    check_needs("sjf", sjf, trace(1.0, 2.0))
    check_needs("fifo", fifo, trace(None))
    with pytest.raises(BadInput, match=r"^policy 'sjf' needs run time estimates, and no job has one in trace 't'; "):
        check_needs("sjf", sjf, trace(None, None))
    with pytest.raises(BadInput, match=r"job 1 is the first without .* --estimates predicted, exact or noisy:SIGMA$"):
        check_needs("srtf", srtf, trace(1.0, None, None))


def test_las_cannot_take_restarts_beyond_its_grace() -> None:
    check_needs("las", policy("las"), trace(), of_cluster("1x1:A", 360.0))
    check_needs("srtf", srtf, trace(), of_cluster("1x1:A", 1e9))
    with pytest.raises(BadInput, match=r"^policy 'las' takes restarts of 360 s at most; lower --restart-cost$"):
        check_needs("las", policy("las"), trace(), of_cluster("1x1:A", 361.0))


def test_restarts_are_those_of_the_law_of_checkpoints_where_it_is_on() -> None:
    """30 s and 5 GB at 2 GB/s, or what a job says: 660 GB are 360 s in all. Whoever is never stopped does not count."""
    slow = replace(of_cluster("1x1:A", 1e9), laws={"checkpoints": Checkpoints()})
    jobs = (Job(0, 0.0), Job(1, 0.0, checkpoint=660 * 10**9), Job(2, 0.0, checkpoint=10**13, preemptible=False))
    told = Trace(jobs, dict.fromkeys(range(3), 1.0), "t")
    assert slow.longest_restart(told.first(1)) == 32.5
    assert slow.longest_restart(told) == 360.0
    check_needs("las", policy("las"), told, slow)
    slower = replace(slow, laws={"checkpoints": Checkpoints(restore_s=31.0)})
    with pytest.raises(
        BadInput, match=r"^policy 'las' takes restarts of 360 s at most; some take 361 s by the law of c"
    ):
        check_needs("las", policy("las"), told, slower)
    check_needs("fifo", fifo, told, slower)


def test_a_strangers_policy_says_nothing_of_estimates() -> None:
    class Stranger:
        def decide(self, cluster: object) -> list[object]:
            return []

    stranger: Policy = Stranger()  # type: ignore[assignment]
    check_needs("stranger", stranger, trace(None))


def test_finding_a_policy_does_not_import_torch() -> None:
    code = "import sys; from gpuyard.experiments.names import policy; policy('fifo'); print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"
