"""The Gymnasium face and the codec: what the mask allows the ledger accepts, and order means nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from gpuyard.envs.cluster import Cluster
from gpuyard.envs.codec import Starts, candidates
from gpuyard.envs.commits import Commits
from gpuyard.envs.features import ROW, WHOLE, expected_ends
from gpuyard.envs.metrics import integral, read
from gpuyard.envs.nodes import Node, parse
from gpuyard.envs.placement import consolidated, packed, spread
from gpuyard.envs.rates import active_jobs, slowdown
from gpuyard.envs.register import NAME
from gpuyard.envs.scheduling import SchedulingEnv
from gpuyard.envs.vector import Batch, Par
from gpuyard.envs.vocabulary import InvalidDecision, Start, Submitted
from gpuyard.experiments.lessons import Task, by_rule, play
from gpuyard.policies.teachers import TEACHERS
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput
from strategies import nodes, traces


def burst(count: int = 40, gangs: tuple[int, ...] = (1, 2, 1, 4), spacing: float = 5.0) -> Trace:
    """Jobs that come faster than two nodes of four can do them."""
    jobs = tuple(Job(n, spacing * n, gangs[n % len(gangs)], estimate=10.0 + 7 * (n % 9)) for n in range(count))
    return Trace(jobs, {j.id: 5.0 + 11 * (j.id % 7) for j in jobs})


def env(**settings: Any) -> SchedulingEnv:
    return SchedulingEnv(burst(), "2x4:V100", **({"window": None} | settings))


@pytest.mark.parametrize("mode", [None, "ansi", "rgb_array"])
def test_gymnasium_finds_nothing_to_say(mode: str | None) -> None:
    check_env(gymnasium.make("gpuyard/Scheduling-v0", trace=burst(), cluster="2x4:V100", render_mode=mode).unwrapped)


def test_it_can_be_made_without_arguments_or_imports_of_ours() -> None:
    code = "import gymnasium; made = gymnasium.make('gpuyard.envs:gpuyard/Scheduling-v0'); made.reset(seed=3)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_its_observations_are_rows_of_features() -> None:
    made = gymnasium.make(NAME)
    observation, _ = made.reset(seed=3)
    assert made.observation_space.contains(observation)
    assert observation.shape == (33, len(ROW))
    assert len(ROW) == len(WHOLE)


def test_jobs_that_can_never_run_are_refused_or_left_out() -> None:
    with pytest.raises(BadInput, match="job 3 can never run"):
        SchedulingEnv(burst(), "1x2:V100")
    kept = SchedulingEnv(burst(), "1x2:V100", oversized="skip").trace
    assert {job.gang for job in kept.jobs} == {1, 2}


def test_a_cluster_without_accelerators_runs_jobs_without() -> None:
    jobs = tuple(Job(n, 0.0, 0, cpus=1.0) for n in range(3))
    one = SchedulingEnv(Trace(jobs, dict.fromkeys(range(3), 5.0)), (Node("n0", (), cpus=2),), Starts(4), window=None)
    assert play_at_random(one, 0) == -(3 * 5.0 + 5.0)


@pytest.mark.parametrize("window", [0, -3])
def test_a_window_of_no_jobs_is_refused(window: int) -> None:
    with pytest.raises(BadInput, match="window"):
        env(window=window)


def test_unknown_run_times_come_last_and_shares_free_their_part() -> None:
    cluster = Cluster(parse("1x1:A100"))
    for n, estimate in enumerate((100.0, None, 50.0)):
        cluster.observe(Submitted(0.0, Job(n, 0.0, estimate=estimate)))
    menu = Starts(4).menu(cluster)
    assert menu.jobs == [0, 1, 2]
    assert menu.observation[:3, ROW.index("is_shortest")].tolist() == [0, 0, 1]
    for rule in ("shortest", "smallest", "strict-shortest"):
        assert menu.jobs[TEACHERS[rule](menu.observation, menu.mask)] == 2
    shared = Cluster(parse("1x1:A100"))
    for n in range(10):
        shared.observe(Submitted(0.0, Job(n, 0.0, share=0.1, estimate=5.0)))
        shared.decide(Start(n, (("n0", ("n0/0",)),)))
    assert expected_ends(shared)[1].max() == pytest.approx(1.0)


def test_an_action_that_is_no_row_is_refused() -> None:
    one = env()
    one.reset()
    for action in (99, -5):
        with pytest.raises(gymnasium.error.InvalidAction):
            one.step(np.int64(action))


def test_a_batch_draws_windows_of_its_own() -> None:
    batch = Batch([env(window=10), env(window=10)])
    batch.reset()
    _, rewards, _, _ = batch.step(batch.masks.argmax(1))
    assert rewards.tolist() == [0.0, 0.0]


def test_a_step_decides_or_waits_and_pays_for_time_alone() -> None:
    one = SchedulingEnv(Trace((Job(1, 0.0), Job(2, 4.0)), {1: 10.0, 2: 10.0}), "1x1:A100", Starts(4), window=None)
    one.reset()
    assert one.action_masks().tolist() == [True, False, False, False, False]  # nothing runs: waiting is no choice
    assert one.step(np.int64(0))[1:3] == (0.0, False)  # a start takes no time
    assert one.step(np.int64(4))[1:3] == (-4.0, False)  # one job in the system for four seconds
    assert one.step(np.int64(4))[1:3] == (-12.0, False)  # two for six
    assert one.step(np.int64(0))[1:3] == (0.0, False)
    assert one.step(np.int64(4))[1:3] == (-10.0, False)
    assert one.step(np.int64(4))[1:3] == (0.0, True)


def test_an_illegal_action_is_read_as_waiting_and_counted() -> None:
    one = env(codec=Starts(4))
    one.reset()
    one.step(np.int64(0))
    *_, info = one.step(np.int64(3))
    assert info["illegal"] == 1
    assert one.session is not None
    assert one.session.cluster.now == 5.0


def play_at_random(one: SchedulingEnv, seed: int) -> float:
    rng, total, over = np.random.default_rng(seed), 0.0, False
    one.reset(seed=seed)
    while not over:
        legal = np.flatnonzero(one.action_masks())
        assert len(legal), "something may always be chosen"
        _, reward, over, _, _ = one.step(rng.choice(legal))
        total += reward
    return total


@pytest.mark.parametrize("skip", [False, True])
@given(seed=st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_rewards_sum_to_minus_the_completion_times(skip: bool, seed: int) -> None:
    one = env(skip_forced=skip)
    total = play_at_random(one, seed)
    assert one.session is not None
    ended = read(one.session.log).ended
    assert len(ended.job) == 40
    assert total == pytest.approx(-float(ended.jct.sum()), rel=1e-12)
    assert total == pytest.approx(integral(one.session.log, active_jobs), rel=1e-12)


@given(seed=st.integers(0, 50))
@settings(max_examples=15, deadline=None)
def test_the_slowdown_rate_sums_to_the_slowdowns(seed: int) -> None:
    one = env(rate_of=slowdown)
    total = play_at_random(one, seed)
    assert one.session is not None
    ended = read(one.session.log).ended
    assert -total == pytest.approx(float((ended.jct / np.maximum(ended.run, 10.0)).sum()), rel=1e-9)


@given(traces(), st.integers(1, 6), st.sampled_from([packed, spread, consolidated]), st.integers(0, 1000))
@settings(max_examples=80, deadline=None)
def test_the_mask_allows_what_the_ledger_accepts_and_forbids_what_it_refuses(
    trace: Trace, k: int, place: Any, seed: int
) -> None:
    rng, codec, over = np.random.default_rng(seed), Starts(k, place), False
    one = SchedulingEnv(trace, nodes(), codec, window=None)
    one.reset()
    while not over:
        menu = one.menu
        for row, key in enumerate(menu.jobs):
            (decision,) = menu.choose(row) or (None,)
            scratch = one.session.cluster.room.scratch()  # type: ignore[union-attr]
            job = one.session.cluster.pending[key]  # type: ignore[union-attr]
            assert menu.mask[row] == (decision is not None)
            if isinstance(decision, Start):
                assert decision.job == key
                scratch.take(job, decision.placement)  # raises if the ledger would refuse it
            elif (other := packed(job, scratch)) is not None:
                assert place(job, scratch) is None, f"{place} finds no place, packed would: {other}"
        assert np.isfinite(menu.observation).all()
        assert one.observation_space.contains(menu.observation)
        over = one.step(rng.choice(np.flatnonzero(menu.mask)))[2]


def test_the_order_of_entry_only_orders_the_rows() -> None:
    waiting = [Job(n, float(n % 3), 1 + n % 2, estimate=float(n * n)) for n in range(6)]
    menus = []
    for order in (waiting, sorted(waiting, key=lambda j: -j.id)):
        cluster = Cluster(parse("1x4:A100"))
        for job in order:
            cluster.observe(Submitted(9.0, job))
        codec = Starts(8)
        menu = codec.menu(cluster)
        rows = {key: menu.observation[row, :12] for row, key in enumerate(menu.jobs)}
        menus.append((rows, menu.observation[-1, 1:8]))
    for key, row in menus[0][0].items():
        np.testing.assert_array_equal(row, menus[1][0][key])
    np.testing.assert_array_equal(menus[0][1], menus[1][1])


def test_candidates_are_a_union_of_orders() -> None:
    cluster = Cluster(parse("1x4:A100"))
    for n in range(100):
        cluster.observe(Submitted(float(n), Job(n, float(n), 1 + (n == 60) * 3, estimate=1000.0 - 9 * n)))
    keys = candidates(cluster, 10)
    assert len(set(keys)) == 10
    assert {0, 1, 98, 99, 60} <= set(keys)  # oldest, shortest, widest


def test_a_codec_has_room_for_work_that_fits() -> None:
    """When anything of one kind fits, some shown candidate does: the narrowest are among them."""
    cluster = Cluster(parse("1x4:A100"))
    cluster.observe(Submitted(0.0, Job(0, 0.0, 3, estimate=5.0)))
    cluster.decide(Start(0, (("n0", ("n0/0", "n0/1", "n0/2")),)))
    for n in range(1, 80):
        cluster.observe(Submitted(0.0, Job(n, 0.0, 1 if n == 70 else 4, estimate=1.0 if n != 70 else 9e5)))
    codec = Starts(10)
    menu = codec.menu(cluster)
    assert [menu.jobs[row] for row in np.flatnonzero(menu.mask[:-1])] == [70]


def test_reading_a_menu_changes_nothing() -> None:
    one = env()
    one.reset()
    assert one.session is not None
    before = one.session.cluster.state()
    Starts(4).menu(one.session.cluster)
    assert one.session.cluster.state() == before


def test_a_batch_is_its_environments_side_by_side() -> None:
    alone = env(skip_forced=True)
    nothing = Par(np.array([0.0]), np.array([0.0]), 2.0)
    batch = Batch([env(skip_forced=True) for _ in range(3)], lambda _: ({"trace": burst()}, nothing))
    observations = batch.reset()
    first, _ = alone.reset(options={"trace": burst()})
    total, ends = 0.0, 0
    for _ in range(200):
        assert all((observations[n] == first).all() for n in range(3))
        assert (batch.masks == alone.action_masks()).all()
        action = int(alone.action_masks().argmax())
        observations, rewards, over, infos = batch.step([action] * 3)
        first, reward, done, _, _ = alone.step(np.int64(action))
        total += reward
        assert rewards.tolist() == [np.float32(reward / 2.0 + done)] * 3
        assert over.tolist() == [done] * 3
        if done:
            ends += 1
            assert infos[0]["episode"]["r"] == pytest.approx(total / 2 + 1)
            first, total = alone.reset(options={"trace": burst()})[0], 0.0
    assert ends >= 1


@pytest.mark.parametrize("rate_of", [slowdown, lambda _: active_jobs])
def test_who_plays_par_earns_nothing_at_any_time_and_others_earn_the_difference(rate_of: Any) -> None:
    rule, another = TEACHERS["shortest"], TEACHERS["oldest"]
    alone, yours = env(skip_forced=True, rate_of=rate_of), env(skip_forced=True, rate_of=rate_of)
    task = Task(burst(), np.ones(1), np.ones(1), Starts())
    told, other = play(alone, task, by_rule(rule)), play(alone, task, by_rule(another))
    batch = Batch([yours], lambda _: ({"trace": burst()}, told.par()))
    for chosen, expected in ((rule, 0.0), (another, (told.cost - other.cost) / told.cost)):
        observations, earned, over = batch.reset(), [], False
        while not over:
            observations, rewards, ends, _ = batch.step([chosen(observations[0], batch.masks[0])])
            earned.append(float(rewards[0]))
            over = bool(ends[0])
        assert sum(earned) == pytest.approx(expected, abs=1e-5)
        assert chosen is another or max(map(abs, earned)) < 1e-6
    assert other.cost != told.cost


def test_a_consumed_start_is_refused_the_second_time() -> None:
    one = env()
    one.reset()
    (decision,) = one.menu.choose(0) or (None,)
    assert isinstance(decision, Start)
    assert one.session is not None
    one.session.act(decision)
    with pytest.raises(InvalidDecision):
        one.session.act(decision)


def test_it_must_be_reset_first() -> None:
    with pytest.raises(gymnasium.error.ResetNeeded):
        env().step(np.int64(0))


def test_environments_that_play_the_same_task_do_not_share_what_a_codec_remembers() -> None:
    """Turn by turn, both choose the oldest, who is waited for: each goes on as one alone does."""
    rng = np.random.default_rng(0)
    jobs = tuple(Job(n, 10.0 * n, int(rng.integers(1, 8)), estimate=float(rng.uniform(9, 400))) for n in range(30))
    window = Trace(jobs, {job.id: job.estimate or 1.0 for job in jobs})
    options = {"trace": window, "codec": Commits(8)}

    def new() -> SchedulingEnv:
        one = SchedulingEnv(window, "1x8:V100", Commits(8), window=None)
        one.reset(options=options)
        return one

    def seen(some: list[SchedulingEnv]) -> list[list[np.ndarray]]:
        found: list[list[np.ndarray]] = [[] for _ in some]
        for _ in range(60):
            for one, told in zip(some, found, strict=True):
                told.append(one.menu.observation.copy())
                one.step(np.int64(one.menu.mask.argmax()))
        return found

    (alone,) = seen([new()])
    for mine in seen([new(), new()]):
        np.testing.assert_array_equal(mine, alone)
