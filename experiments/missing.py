"""What a policy needs and a world does not have: said before anything runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ..envs.scenario import Scenario
from ..envs.session import Policy
from ..policies.needs import NOTHING, Need, Needs
from ..traces.job import Trace
from ..traces.trouble import BadInput

CURE = "add --estimates predicted, exact or noisy:SIGMA"


def _law(name: str) -> Callable[[Trace, Scenario], bool]:
    return lambda _, world: name in world.laws


CHECKS: Mapping[Need, tuple[Callable[[Trace, Scenario], bool], str]] = {
    "profiles": (
        lambda trace, world: "speed" in world.laws and any(job.profile is not None for job in trace.jobs),
        "jobs with model families and the law of speed; give jobs profiles (synthetic:...,profiles=1) and [laws.speed]",
    ),
    "kinds": (
        lambda _, world: len({a.kind for node in world.nodes for a in node.accelerators}) > 1,
        "accelerators of several kinds; add nodes of another kind",
    ),
    "elastic": (
        lambda trace, world: not world.plain and any(job.min_gang or job.max_gang for job in trace.jobs),
        "elastic jobs in a world that resizes them; use a --scenario, and a --trace such as synthetic:...,elastic=0.5",
    ),
    "shares": (
        lambda trace, _: any(job.share < 1 for job in trace.jobs),
        "jobs that ask for part of an accelerator; use such a trace (openb, or synthetic:...,shares=0.5)",
    ),
    "tenants": (lambda _, world: world.tenants is not None, "tenants; add [tenants.NAME] to the scenario"),
    "owners": (
        lambda trace, _: len({job.tenant for job in trace.jobs}) > 1,
        "jobs of several tenants; use a trace that names them, such as synthetic:philly",
    ),
    "moves": (lambda _, world: not world.plain, "a world that moves jobs; use a --scenario with a law or a tenant"),
    "pools": (
        lambda _, world: any(node.pool is not None for node in world.nodes),
        "nodes that come and go; give some [[nodes]] of the scenario a pool",
    ),
    "power": (_law("power"), "the law of power; add [laws.power] to the scenario"),
    "carbon": (_law("market"), "the law of the market; add [laws.market] to the scenario"),
}
"""Need -> whether it is there, and what to say where it is not."""


GOALS: Mapping[str, tuple[Callable[[Trace, Scenario], bool], str]] = {
    "energy": CHECKS["power"],
    "carbon": CHECKS["carbon"],
    "cost": (
        lambda _, world: "market" in world.laws or any(node.usd_per_hour for node in world.nodes),
        "prices; add [laws.market] to the scenario, or give nodes a usd_per_hour",
    ),
    "fairness": CHECKS["tenants"],
}
"""Objective -> whether a world tells of it, and what to say where it does not: there it would be 0 for all."""


def check_goals(names: Sequence[str], trace: Trace, world: Scenario) -> None:
    """Raises BadInput for an objective that this world knows nothing of."""
    for name in names:
        if name in GOALS and not GOALS[name][0](trace, world):
            raise BadInput(f"--objective {name} needs {GOALS[name][1]}")


def check_needs(name: str, policy: Policy, trace: Trace, world: Scenario | None = None, cure: str = CURE) -> None:
    """Raises BadInput that says what the policy needs and these jobs or this world do not have.

    Without a world only the jobs' estimates are looked at. `cure` says how to get estimates.
    """
    needs: Needs = getattr(policy, "needs", NOTHING)
    if "estimates" in needs:
        _check_estimates(name, trace, cure)
    if world is None:
        return
    for need, (there, words) in CHECKS.items():
        if need in needs and not there(trace, world):
            raise BadInput(f"policy '{name}' needs {words}")
    _check_restarts(name, getattr(policy, "longest_restart", math.inf), trace, world)


def _check_restarts(name: str, longest: float, trace: Trace, world: Scenario) -> None:
    """With longer ones jobs could be stopped again and again, with nothing done."""
    if longest == math.inf or (there := world.longest_restart(trace)) <= longest:
        return
    cure = "lower --restart-cost"
    if "checkpoints" in world.laws:
        cure = f"some take {there:g} s by the law of checkpoints: lower its restore_s, or raise its restore_gb_s"
    raise BadInput(f"policy '{name}' takes restarts of {longest:g} s at most; {cure}")


def _check_estimates(name: str, trace: Trace, cure: str) -> None:
    without = [job.id for job in trace.jobs if job.estimate is None]
    if without and trace.estimates != "predicted":
        which = "no job has one" if len(without) == len(trace) else f"job {without[0]} is the first without"
        raise BadInput(f"policy '{name}' needs run time estimates, and {which} in trace '{trace.name}'; {cure}")
