"""The learned policy: the same arithmetic in numpy and torch, blind to the order of rows, saved and loaded unharmed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.cluster import Cluster, ClusterView
from gpuyard.envs.codec import Starts
from gpuyard.envs.features import ROW
from gpuyard.envs.full import Full
from gpuyard.envs.metrics import summary
from gpuyard.envs.nodes import parse
from gpuyard.envs.placement import packed, spread
from gpuyard.envs.rates import OBJECTIVES
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.vocabulary import Decision, Submitted
from gpuyard.experiments.names import policy
from gpuyard.policies.learned import Learned, load, logits, of_rule, save, shapes
from gpuyard.policies.teachers import TEACHERS
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput

Arrays = dict[str, npt.NDArray[np.float32]]


def random_weights(seed: int, width: int = 8, features: int = len(ROW), marks: int = 0) -> Arrays:
    rng = np.random.default_rng(seed)
    wanted = shapes(width, features, marks).items()
    return {name: rng.normal(0, 0.7, shape).astype(np.float32) for name, shape in wanted}


def random_observation(seed: int, k: int = 10, features: int = len(ROW)) -> npt.NDArray[np.float32]:
    """Some candidates at random, then empty rows, then the whole."""
    rng = np.random.default_rng(seed)
    observation = rng.uniform(-1, 1, (k + 1, features)).astype(np.float32)
    count = int(rng.integers(1, k + 1))
    observation[:count, 0], observation[count:k], observation[k, 0] = 1, 0, 0
    return observation


CARD: dict[str, Any] = {"codec": {"name": "Starts", "k": 16, "place": "packed"}, "network": {"width": 8}}


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=50, deadline=None)
def test_numpy_and_torch_are_one_network(seed: int, full: bool) -> None:
    """With the parts of several objectives, too."""
    torch = pytest.importorskip("torch")
    from gpuyard.policies.network import Network

    features, several = (len(Full.row), len(OBJECTIVES)) if full else (len(ROW), 0)
    weights, observation = random_weights(seed, 8, features, several), random_observation(seed, features=features)
    network = Network(8, features, several)
    network.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
    with torch.no_grad():
        scores, value = network(torch.from_numpy(observation[None]))
    mine = logits(weights, observation)
    seen = np.isfinite(mine)
    np.testing.assert_allclose(mine[seen], scores[0].numpy()[seen], rtol=1e-4, atol=1e-4)
    assert seen.sum() == observation[:-1, 0].sum() + 1
    assert value.shape == (1, 1)


@given(st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_shuffled_rows_shuffle_the_logits_and_leave_the_value(seed: int) -> None:
    torch = pytest.importorskip("torch")
    from gpuyard.policies.network import Network

    weights, observation = random_weights(seed), random_observation(seed)
    network = Network(8)
    network.load_state_dict({name: torch.from_numpy(w) for name, w in weights.items()})
    order = np.append(np.random.default_rng(seed).permutation(len(observation) - 1), len(observation) - 1)
    with torch.no_grad():
        one, value = network(torch.from_numpy(observation[None]))
        other, again = network(torch.from_numpy(observation[order][None]))
    np.testing.assert_allclose(other[0].numpy(), one[0].numpy()[order], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(again.numpy(), value.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TEACHERS)
def test_an_untrained_network_is_its_teacher(name: str) -> None:
    pytest.importorskip("torch")
    from gpuyard.policies.network import Network

    network = Network(8)
    network.follow(of_rule(*TEACHERS[name].line(ROW)))
    weights = {key: w.detach().numpy() for key, w in network.state_dict().items()}
    for seed in range(30):
        cluster = Cluster(parse("1x4:A100"))
        rng = np.random.default_rng(seed)
        for n in range(6):
            cluster.observe(Submitted(n, Job(n, n, int(rng.integers(1, 5)), estimate=float(rng.uniform(5, 5000)))))
        codec = Starts(8)
        for _ in range(3):
            menu = codec.menu(cluster)
            mine = int(np.where(menu.mask, logits(weights, menu.observation), -np.inf).argmax())
            assert mine == TEACHERS[name](menu.observation, menu.mask)
            if (decisions := menu.choose(mine)) is None:
                break
            cluster.decide(*decisions)


def trace() -> Trace:
    jobs = tuple(Job(n, 3.0 * n, (1, 2, 4)[n % 3], estimate=20.0 + n % 7) for n in range(40))
    return Trace(jobs, {j.id: 10.0 + (j.id * 13) % 50 for j in jobs})


def test_a_saved_policy_decides_as_before_and_is_named_by_its_folder(tmp_path: Path) -> None:
    weights = random_weights(3)
    save(tmp_path / "p", weights, CARD)
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == ["policy.json", "weights.safetensors"]
    before = Learned(weights, Starts(16), CARD)
    after = policy(str(tmp_path / "p"))
    logs = [Session(SimWorld(trace(), parse("2x4:A100"))).play(one) for one in (before, after)]
    assert logs[0].sha256() == logs[1].sha256()
    assert summary(logs[0]).finished == 40


def test_its_placement_can_be_chosen(tmp_path: Path) -> None:
    save(tmp_path, random_weights(3), CARD)
    assert load(tmp_path).codec.place is packed
    assert policy(str(tmp_path), "spread").codec.place is spread  # type: ignore[attr-defined]


def torn(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:100])


def infinite(folder: Path) -> None:
    save(folder, {**random_weights(1), "wait.bias": np.array([np.inf], np.float32)}, CARD)


def edited(**changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        card = json.loads((folder / "policy.json").read_text())
        (folder / "policy.json").write_text(json.dumps(card | changes))

    return edit


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (lambda folder: (folder / "policy.json").unlink(), "policy.json: is missing"),
        (lambda folder: (folder / "policy.json").write_text('{"gpuy'), "policy.json: cannot be read as JSON"),
        (lambda folder: (folder / "weights.safetensors").unlink(), "weights.safetensors: is missing"),
        (torn, "weights.safetensors: is torn"),
        (infinite, "wait.bias holds numbers that are not finite"),
        (edited(network={"width": 9}), "lacks row1.weight of shape"),
        (edited(network={}), "says nothing usable"),
        (edited(codec={"k": 3, "place": "nowhere"}), "says nothing usable"),
        (edited(codec={"name": "Starts", "k": 3, "place": "Job"}), "says nothing usable"),
        (edited(codec={"name": "Starts", "k": -5, "place": "packed"}), "says nothing usable"),
        (edited(codec={"name": "Starts", "k": True, "place": "packed"}), "says nothing usable"),
        (edited(codec={"name": "Moves", "k": 3, "place": "packed"}), "says nothing usable"),
        (edited(features={}), "trained on other features"),
        (edited(gpuyard_policy=2), "not a policy of format 1"),
    ],
)
def test_a_harmed_folder_is_refused_in_one_sentence(tmp_path: Path, harm: Callable[[Path], None], why: str) -> None:
    save(tmp_path, random_weights(3), CARD)
    harm(tmp_path)
    with pytest.raises(BadInput, match=why) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("teacher", "known"), [("easy-oldest", "easy"), ("easy-shortest", "easy(sjf)"), ("strict-shortest", "sjf")]
)
def test_a_teacher_that_sees_the_whole_queue_is_the_policy_it_is_named_for(teacher: str, known: str) -> None:
    """Two implementations that know nothing of each other: rules over menus, and policies over the ledger."""

    class Rule:
        def decide(self, cluster: ClusterView) -> Iterator[Decision]:
            while len(cluster.pending) and not (menu := codec.menu(cluster)).forced:
                decisions = menu.choose(TEACHERS[teacher](menu.observation, menu.mask))
                if decisions is None:
                    return
                yield from decisions

    rng = np.random.default_rng(5)
    times = np.cumsum(rng.exponential(60.0, 300))
    runs = rng.lognormal(4.5, 1.2, 300).round(1)
    jobs = tuple(
        Job(
            n,
            float(t),
            int(rng.choice([1, 1, 2, 4, 8])),
            estimate=float((runs[n] * np.exp(rng.normal(0, 0.8))).round(3)),
        )
        for n, t in enumerate(times)
    )
    busy, codec = Trace(jobs, {n: float(run) for n, run in enumerate(runs)}), Starts(300)
    logs = [Session(SimWorld(busy, parse("2x8:A100"))).play(one) for one in (Rule(), policy(known))]
    assert logs[0].sha256() == logs[1].sha256()
