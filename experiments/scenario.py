"""`gpuyard scenario`: the worlds there are, whether a file describes one, and what is in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click
from rich.table import Table

from ..envs.nodes import Node, describe
from ..envs.placement import packed
from ..envs.scenario import Scenario, shipped
from ..envs.scenario import scenario as find
from ..traces.estimates import with_estimates
from ..traces.job import Trace
from ..traces.source import open_trace
from ..traces.trouble import within
from .fitting import fitting
from .options import SETTINGS
from .screen import number, out

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
SAMPLE = 1000
"""Jobs of a scenario's own trace that `check` looks at."""


@click.group(context_settings=SETTINGS)
def command() -> None:
    """List, check and show scenarios: whole worlds, each in a TOML file.

    \b
    simulate, train and compare take them as --scenario NAME or --scenario FILE.toml.
    """


@command.command("list", context_settings=SETTINGS)
@as_json
def list_(as_json: bool) -> None:
    """List the scenarios that come with gpuyard.

    \b
    Examples:
      gpuyard scenario list
      gpuyard scenario list --json
    """
    found = [find(name) for name in shipped()]
    if as_json:
        rows = [{"name": s.name, "about": s.about, "cluster": describe(s.nodes), "laws": list(s.laws)} for s in found]
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table("scenario", "what it is", "machines", "laws")
    for one in found:
        table.add_row(one.name, one.about, describe(one.nodes).replace("+", "\n+"), ", ".join(one.laws) or "none")
    out().print(table)


@command.command(context_settings=SETTINGS)
@click.argument("files", nargs=-1, required=True, metavar="NAME|FILE...")
def check(files: tuple[str, ...]) -> None:
    """Say whether scenarios describe worlds in which their own jobs can run; exit code 2 if one does not.

    \b
    Examples:
      gpuyard scenario check lab.toml
      gpuyard scenario check campus hybrid mig
    """
    for name in files:
        found = find(name)
        tried = begun(found)
        what = (
            f"{len(tried):,} jobs of its trace were tried"
            if found.trace is not None
            else "it names no trace of its own"
        )
        click.echo(f"{name}: well; {describe(found.nodes)}, {len(found.laws)} laws; {what}")
        for remark in remarks(found, tried):
            click.echo(f"  note: {remark}")


def remarks(found: Scenario, tried: Trace) -> Iterator[str]:
    """What its jobs may do for nothing, because the law that would make it cost is off."""
    if "speed" not in found.laws and any(job.min_gang or job.max_gang for job in tried.jobs):
        yield "elastic jobs run alike with any gang; [laws.speed] has the gang decide how fast"
    if "sharing" not in found.laws and any(job.share < 1 for job in tried.jobs):
        yield "jobs that share an accelerator do not slow each other down; [laws.sharing] has them do so"


def begun(found: Scenario) -> Trace:
    """Begins a world with the first jobs of the scenario's own trace: these. Raises BadInput where that fails."""
    if found.trace is None:
        found.world(none := Trace((), {}))
        return none
    with within(f"scenario {found.name}: trace"):
        trace = open_trace(found.trace, seed=found.seed).first(SAMPLE)
    trace = with_estimates(trace, found.estimates, found.seed)
    with within(f"scenario {found.name}"):
        fitting(trace, found.nodes, {"packed": packed}, room=found.room(), cure="mend 'trace' or [[nodes]]")
    found.world(trace)
    return trace


@command.command(context_settings=SETTINGS)
@click.argument("name", metavar="NAME|FILE")
@as_json
def show(name: str, as_json: bool) -> None:
    """Show a scenario: its machines, tenants, laws and jobs.

    \b
    Examples:
      gpuyard scenario show hybrid
      gpuyard scenario show lab.toml --json
    """
    found = find(name)
    if as_json:
        about = {"name": found.name, "about": found.about, "trace": found.trace, "estimates": found.estimates}
        click.echo(json.dumps(about | found.as_dict(), indent=2, default=str))
        return
    console = out()
    for line in (
        found.name,
        found.about,
        f"jobs       {found.trace or 'none of its own'}, estimates {found.estimates}",
    ):
        console.print(line, markup=False, soft_wrap=True)
    for table in (_machines(found), _tenants(found), _laws(found)):
        if table.row_count:
            console.print(table)


def _machines(found: Scenario) -> Table:
    columns = (
        "nodes",
        "of them there",
        "accelerators each",
        "site",
        "pool",
        "CPUs",
        "GiB",
        "racks",
        "USD/h",
        "W",
        "PUE",
    )
    table = Table(*columns, title="Machines", title_justify="left")
    like: dict[tuple[Any, ...], list[Node]] = {}
    for node in found.nodes:
        kinds = tuple(Counter(a.kind for a in node.accelerators).items())
        like.setdefault((kinds, node.site, node.pool, node.spot, node.cpus, node.memory, node.usd_per_hour), []).append(
            node
        )
    for (kinds, site, pool, spot, cpus, memory, rent), nodes in like.items():
        each = ", ".join(f"{count} {kind}" for kind, count in kinds) or "none"
        where = f"{pool or '-'}{' (spot)' if spot else ''}"
        gib = None if memory is None else memory / 2**30
        racks = len({node.rack for node in nodes if node.rack is not None})
        table.add_row(
            f"{len(nodes)}", f"{sum(n.present for n in nodes)}", each, site or "-", where, number(cpus), number(gib),
            f"{racks or '-'}", number(rent or None, 2), number(nodes[0].watts or None), f"{nodes[0].pue:g}",
        )  # fmt: skip
    return table


def _tenants(found: Scenario) -> Table:
    table = Table("tenant", "weight", "quota", "may borrow", "lends", title="Tenants", title_justify="left")
    for one in found.tenants.named.values() if found.tenants is not None else ():
        limits = ("none" if x is None else f"{x:g}" for x in (one.quota, one.borrow, one.lend))
        quota, borrow, lend = limits
        table.add_row(
            one.name, f"{one.weight:g}", quota, "all" if borrow == "none" else borrow, "all" if lend == "none" else lend
        )
    return table


def _laws(found: Scenario) -> Table:
    table = Table("law", "parameters", title="Laws", title_justify="left")
    for name, law in found.laws.items():
        said = ", ".join(f"{key} = {value}" for key, value in asdict(law).items() if value is not None)  # type: ignore[call-overload]
        table.add_row(name, said)
    return table
