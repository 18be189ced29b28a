"""What every policy of a run has in common: jobs with their estimates, machines, and the check that both fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..envs.nodes import Nodes, describe
from ..envs.placement import Place
from ..envs.scenario import Scenario, of_cluster, scenario
from ..envs.session import Policy
from ..traces.estimates import with_estimates
from ..traces.job import Job, Trace
from ..traces.source import open_trace
from ..traces.trouble import BadInput, within
from .fitting import fitting
from .missing import check_needs
from .names import policy


@dataclass(frozen=True, slots=True)
class Scene:
    """What every policy of a run has in common.

    Attributes:
        trace: the jobs that take part, with their estimates.
        setting: the world in which they happen.
        skipped: jobs left out because the cluster could never run them.
    """

    trace: Trace
    setting: Scenario
    skipped: tuple[Job, ...]

    @property
    def nodes(self) -> Nodes:
        """The machines."""
        return self.setting.nodes


class Asked(Protocol):
    """What commands that simulate are asked: which jobs, in which world. None leaves a thing to the scenario."""

    @property
    def trace(self) -> str | None:
        """The jobs."""

    @property
    def cluster(self) -> str | None:
        """A plain world's machines."""

    @property
    def scenario(self) -> str | None:
        """A whole world."""

    @property
    def estimates(self) -> str | None:
        """Their mode."""

    @property
    def seed(self) -> int:
        """Of all chance."""

    @property
    def limit(self) -> int | None:
        """Only so many jobs."""


def setting(args: Asked, restart: float | None = None) -> Scenario:
    """The world that was asked for, with restarts of so many seconds if they are given. Raises BadInput."""
    if (args.cluster is None) is (args.scenario is None):
        which = "both are given" if args.cluster is not None else "neither is given"
        raise BadInput(f"--cluster and --scenario: {which}; give one, such as --cluster 8x8:V100 or --scenario campus")
    found = of_cluster(args.cluster) if args.cluster is not None else scenario(str(args.scenario))
    if restart is not None and "checkpoints" in found.laws:
        raise BadInput("--restart-cost: this scenario's law of checkpoints says what a restart costs; change it there")
    return replace(found, seed=found.seed + args.seed, restart=found.restart if restart is None else restart)


def jobs(args: Asked, world: Scenario) -> Trace:
    """The jobs that were asked for, or those that usually happen in this world, with estimates. Raises BadInput."""
    spec = args.trace or world.trace
    if spec is None:
        raise BadInput(f"--trace: {world.name} names no jobs of its own; give FORMAT:PATH or synthetic:PRESET")
    with nullcontext() if args.trace else within(f"scenario {world.name}: trace"):
        found = open_trace(spec, seed=args.seed)
    found = found if args.limit is None else found.first(args.limit)
    return with_estimates(found, args.estimates or world.estimates, args.seed)


def told_estimates(mode: str) -> str:
    """The estimates' mode with what a reader must know of it."""
    if mode == "exact":
        return "exact (oracle: true run times)"
    if mode == "predicted":
        return "predicted (from jobs that had ended)"
    return f"{mode} (derived from true run times)" if mode.startswith("noisy") else mode


def policies(names: Sequence[str], placement: str | None) -> dict[str, Policy]:
    """The policies by the names they were asked for.

    Raises BadInput for an unknown one, or one named twice.
    """
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise BadInput(f"--policy {twice} is given twice; once is enough, as equal runs are equal")
    return {name: policy(name, placement) for name in names}


def scene(trace: Trace, world: Scenario, chosen: Mapping[str, Policy], oversized: str) -> Scene:
    """Sees that every job can run and every policy has what it needs. Raises BadInput where that is not so."""
    trace, skipped = fitting(trace, world.nodes, places(chosen), oversized, room=world.room())
    for name, one in chosen.items():
        check_needs(name, one, trace, world)
    return Scene(trace, world, skipped)


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


def headline(trace: Trace, world: Scenario) -> list[str]:
    """Trace, world and estimates in a line each."""
    nodes = world.nodes
    size, span = accelerators(nodes), trace.span
    load = f", offered load {trace.work / (size * span):.2f}" if size and span else ""
    lines = [
        f"trace      {trace.name}: {len(trace):,} jobs over {span / 86400:,.1f} days{load}",
        f"cluster    {describe(nodes)}: {size:,} accelerators on {len(nodes):,} nodes",
        f"estimates  {told_estimates(trace.estimates)}",
    ]
    if not world.plain:
        lines.append(f"scenario   {world.name}: {', '.join(world.laws) or 'no laws'}; seed {world.seed}")
    return [*lines, f"loaded     {trace.report}"] if trace.report else lines


def restarts(world: Scenario) -> str:
    """What a restart costs in this world, in words."""
    if "checkpoints" in world.laws:
        return "restarts cost what the law of checkpoints says"
    return f"a restart costs {world.restart:g} s"


def folder_at(path: Path, option: str = "--out") -> None:
    """Raises BadInput if there can be no such folder, as it or one that it is in is a file."""
    if (file := next((one for one in (path, *path.parents) if one.exists()), path)).is_file():
        raise BadInput(f"{option} {path}: {file} is a file; name a folder")


def positive(name: str, value: int | None, least: int = 1) -> None:
    """Raises BadInput if the option's value is below the least that makes sense."""
    if value is not None and value < least:
        raise BadInput(f"--{name} {value}: give {least} or more")
