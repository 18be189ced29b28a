"""What every policy of a run has in common: jobs with their estimates, machines, and the check that both fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..envs.nodes import Nodes, describe
from ..envs.placement import Place
from ..envs.session import Policy
from ..traces.estimates import with_estimates
from ..traces.job import Job, Trace
from ..traces.source import open_trace
from ..traces.trouble import BadInput
from .fitting import fitting
from .names import check_estimates, check_restart, policy


@dataclass(frozen=True, slots=True)
class Scene:
    """What every policy of a run has in common.

    Attributes:
        trace: the jobs that take part, with their estimates.
        nodes: the machines.
        skipped: jobs left out because the cluster could never run them.
    """

    trace: Trace
    nodes: Nodes
    skipped: tuple[Job, ...]


def told_estimates(mode: str) -> str:
    """The estimates' mode with what a reader must know of it."""
    if mode == "exact":
        return "exact (oracle: true run times)"
    return f"{mode} (derived from true run times)" if mode.startswith("noisy") else mode


def policies(names: Sequence[str], placement: str | None, restart: float) -> dict[str, Policy]:
    """The policies by the names they were asked for.

    Raises BadInput for an unknown one, one named twice, or one that such restarts would keep busy for ever.
    """
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadInput(f"--policy {twice} is given twice; once is enough, as equal runs are equal")
    found = {name: policy(name, placement) for name in names}
    for name, one in found.items():
        check_restart(name, one, restart)
    return found


def loaded(spec: str, estimates: str, seed: int, limit: int | None) -> Trace:
    """Opens a trace and gives its jobs their estimates. Raises BadInput."""
    trace = open_trace(spec, seed=seed)
    return with_estimates(trace if limit is None else trace.first(limit), estimates, seed)


def scene(trace: Trace, nodes: Nodes, chosen: Mapping[str, Policy], oversized: str) -> Scene:
    """Sees that every job can run and every policy knows what it needs. Raises BadInput where that is not so."""
    trace, skipped = fitting(trace, nodes, places(chosen), oversized)
    for name, one in chosen.items():
        check_estimates(name, one, trace)
    return Scene(trace, nodes, skipped)


def places(chosen: Mapping[str, Policy]) -> dict[str, Place]:
    """The placement functions that these policies use, by name."""
    found = {placed(one): getattr(one, "place", None) for one in chosen.values()}
    return {name: place for name, place in found.items() if place is not None}


def placed(one: Policy) -> str:
    """The name of a policy's placement."""
    return str(getattr(getattr(one, "place", None), "__name__", "its own"))


def accelerators(nodes: Nodes) -> int:
    """How many there are in all."""
    return sum(len(node.accelerators) for node in nodes)


def headline(trace: Trace, nodes: Nodes) -> list[str]:
    """Trace, cluster and estimates in a line each."""
    size, span = accelerators(nodes), trace.span
    load = f", offered load {trace.work / (size * span):.2f}" if size and span else ""
    lines = [
        f"trace      {trace.name}: {len(trace):,} jobs over {span / 86400:,.1f} days{load}",
        f"cluster    {describe(nodes)}: {size:,} accelerators on {len(nodes):,} nodes",
        f"estimates  {told_estimates(trace.estimates)}",
    ]
    return [*lines, f"loaded     {trace.report}"] if trace.report else lines


def positive(name: str, value: int | None, least: int = 1) -> None:
    """Raises BadInput if the option's value is below the least that makes sense."""
    if value is not None and value < least:
        raise BadInput(f"--{name} {value}: give {least} or more")
