"""Rollouts: what they would foresee by hand, and that they see no more than estimates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from gpuyard.envs.cluster import ClusterView
from gpuyard.envs.laws.checkpoints import Checkpoints
from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Policy, Session
from gpuyard.envs.sim import SimWorld
from gpuyard.envs.tenants import Tenant, Tenants
from gpuyard.envs.vocabulary import Decision, Move, Start, Tick
from gpuyard.experiments.names import policy
from gpuyard.policies.needs import ESTIMATES
from gpuyard.policies.orders import expected
from gpuyard.policies.ranked import Formula, Ranked
from gpuyard.policies.rollout import Little, Rollout, rollout
from gpuyard.traces.job import Job, Trace
from gpuyard.traces.trouble import BadInput
from tales import Script, ended, tell
from tales import at as places

SHORTEST = Formula(expected)
STRICT, LOOSE = Ranked(SHORTEST, needs=ESTIMATES), Ranked(SHORTEST, strict=False, needs=ESTIMATES)


def at(second: float, jobs: list[Job], cluster: str, policy: Ranked) -> Session:
    """A session in which a policy has decided up to a second."""
    session = Session(SimWorld(Trace(tuple(jobs), {j.id: j.estimate or 0.0 for j in jobs}), parse(cluster)))
    while session.advance() and session.cluster.now < second:
        for decision in policy.decide(session.cluster):
            session.act(decision)
    return session


def gangs() -> list[Job]:
    """0 holds three of four until 10. 1 wants all for 10 s; 2 wants one for 1,000 s and fits now."""
    return [
        Job(0, 0.0, 3, estimate=10.0),
        Job(1, 1.0, 4, estimate=10.0),
        Job(2, 1.0, 1, estimate=1000.0),
    ]


def test_what_each_policy_would_cost_by_hand() -> None:
    """Strict: 1 runs from 10 to 20 and 2 from 20: (9 + 10) / 10 + (19 + 1000) / 1000. Loose: 2 now, 1 at 1,001."""
    session = at(1.0, gangs(), "1x4:A", STRICT)
    little = Little.of(session.cluster, 10)
    assert little.cost(STRICT) == 1.9 + 1.019
    assert little.cost(LOOSE) == (1000 + 10) / 10 + 1.0
    assert Rollout((LOOSE, STRICT)).best(session.cluster) == STRICT
    assert session.cluster.pending.columns.keys == [1, 2]  # nothing was decided


def test_it_follows_the_best() -> None:
    jobs = gangs()
    log = Session(SimWorld(Trace(tuple(jobs), {j.id: j.estimate or 0.0 for j in jobs}), parse("1x4:A"))).play(
        Rollout((LOOSE, STRICT), hold=1.0)
    )
    assert {entry.job: time for time, entry in log.timed() if isinstance(entry, Start)} == {0: 0.0, 1: 10.0, 2: 20.0}


def test_one_that_has_outrun_its_estimate_is_expected_to_need_half_of_what_it_had() -> None:
    jobs = [Job(0, 0.0, 1, estimate=10.0), Job(1, 30.0, 1, estimate=10.0), Job(2, 30.0, 1, estimate=20.0)]
    session = Session(SimWorld(Trace(tuple(jobs), {0: 100.0, 1: 10.0, 2: 20.0}), parse("1x1:A")))
    while session.advance() and session.cluster.now < 30.0:
        for decision in STRICT.decide(session.cluster):
            session.act(decision)
    assert Little.of(session.cluster, 4).trace.durations == {0: 15.0, 1: 10.0, 2: 20.0}


def test_it_is_never_worse_than_it_foresees_when_all_is_known() -> None:
    """Nobody else comes and estimates are true: the cost of a base is what really happens."""
    jobs = [Job(n, 0.0, 1 + n % 4, estimate=10.0 + 37.0 * (n % 6)) for n in range(20)]
    trace = Trace(tuple(jobs), {j.id: j.estimate or 0.0 for j in jobs})
    costs: dict[str, float] = {}
    policies: dict[str, Policy] = {"loose": LOOSE, "strict": STRICT, "both": Rollout((LOOSE, STRICT), 40, hold=1e9)}
    for name, one in policies.items():
        log = Session(SimWorld(trace, parse("1x4:A"))).play(one)
        begun = {e.job: t for t, e in log.timed() if isinstance(e, Start)}
        costs[name] = sum(max(1.0, (begun[j.id] + (j.estimate or 0)) / max(j.estimate or 0, 10.0)) for j in jobs)
    assert costs["both"] == min(costs["loose"], costs["strict"])


@dataclass
class Later:
    """Does what its script says, and hands over at a second."""

    script: Script
    second: float
    then: Policy

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        yield from self.script.decide(cluster)
        if cluster.now >= self.second:
            yield from self.then.decide(cluster)


def test_what_was_borrowed_before_its_owner_came_is_foreseen_to_be_held_on() -> None:
    """Job 0 borrows two, and is on its way elsewhere while b's pair takes two of b's three: one is left to lend.

    It arrives at 11, and since then stands behind job 1 in the ledger. Job 2 of a's has to wait, job 3 is b's third.
    """
    tenants = Tenants([Tenant("a", quota=2), Tenant("b", quota=3)], 1e6)
    jobs = [
        (Job(0, 0.0, 4, tenant="a", estimate=100.0), 100.0), (Job(1, 5.0, 2, tenant="b", estimate=100.0), 100.0),
        (Job(2, 40.0, tenant="a", estimate=10.0), 10.0), (Job(3, 40.0, tenant="b", estimate=10.0), 10.0),
    ]  # fmt: skip
    script = Script([
        (0.0, Start(0, places("n0/0", "n0/1", "n0/2", "n0/3"))),
        (4.0, Move(0, places("n0/0", "n0/1", "n0/2", "n0/6"))),
        (5.0, Start(1, places("n0/4", "n0/5"))),
    ])  # fmt: skip
    fates = [(4.0, lambda stage: stage.say(Tick(4.0)))]
    policy = Later(script, 40.0, replace(rollout))
    told = tell(jobs, "1x8:A", {"checkpoints": Checkpoints()}, policy, fates, tenants=tenants)
    assert [(row[0], row[1]) for row in ended(told)][:3] == [(50.0, 3), (105.0, 1), (115.0, 2)]


def test_the_shipped_one_takes_another_placement() -> None:
    from gpuyard.envs.placement import spread

    assert replace(rollout, place=spread).place is spread


def test_it_may_be_given_its_policies_by_name() -> None:
    found = policy("rollout(easy(sjf),fifo)")
    assert isinstance(found, Rollout)
    assert list(found.bases) == [policy("easy(sjf)"), policy("fifo")]
    with pytest.raises(BadInput, match="no policy 'nobody'"):
        policy("rollout(sjf,nobody)")
