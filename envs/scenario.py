"""A whole world in one file: machines, tenants, laws of nature, and the jobs that usually happen there."""

from __future__ import annotations

import pkgutil
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from functools import cache
from importlib import import_module
from importlib.resources import files
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from ..traces.estimates import with_estimates
from ..traces.job import Trace
from ..traces.trouble import BadInput, nearest, within
from . import laws as law_room
from .foretold import foretold
from .harsh import HarshWorld
from .kinds import kind as facts
from .laws.law import Law
from .mig import instances
from .nodes import MOST, Accelerator, Node, Nodes, describe, parse
from .session import World
from .sim import RESTART, SimWorld
from .space import Space
from .tables import filenames, filled, nearby
from .tenants import Tenant, Tenants
from .vocabulary import InvalidDecision, Partition


@dataclass(frozen=True, slots=True)
class Scenario:
    """A world in which traces can happen.

    Attributes:
        name: a shipped scenario's, a file's path, or a cluster spec.
        nodes: the machines, those that may be provisioned included.
        about: what it is, in a sentence.
        trace: the jobs that usually happen here, as a spec; None if it says none.
        estimates: the mode of their estimates.
        tenants: who may hold how much.
        laws: name -> law of nature.
        restart: seconds that a preempted job needs before it works again, where no law of checkpoints says more.
        seed: of all chance.
        tuned: jobs are told how to make the best of the hardware they got.
        opening: decisions that are made before anything happens: accelerators that are cut into MIG instances.
    """

    name: str
    nodes: Nodes
    about: str = ""
    trace: str | None = None
    estimates: str = "recorded"
    tenants: Tenants | None = None
    laws: Mapping[str, Law] = field(default_factory=dict)
    restart: float = RESTART
    seed: int = 0
    tuned: bool = False
    opening: tuple[Partition, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether the plain simulator does: no law, no tenant, nothing that comes or goes or is cut."""
        more = self.laws or self.tuned or self.opening or self.tenants is not None
        return not more and all(node.pool is None for node in self.nodes)

    def longest_restart(self, trace: Trace) -> float:
        """The most seconds that any of these jobs needs, once it was preempted, before it works again."""
        law: Any = self.laws.get("checkpoints")
        if law is None:
            return self.restart
        return max((law.restart(job) for job in trace.jobs if job.preemptible), default=0.0)

    def world(self, trace: Trace, *, tick: float | None = None, seed: int | None = None) -> World:
        """A world in which a trace is about to happen; the same seed, the same chance. Raises BadInput.

        Args:
            trace: the jobs.
            tick: seconds between ticks, None for none.
            seed: instead of the scenario's own.
        """
        if self.plain:
            return foretold(SimWorld(trace, self.nodes, restart=self.restart, tick=tick), trace)
        try:
            harsh = HarshWorld(
                trace,
                self.nodes,
                self.laws,
                tenants=self.tenants,
                restart=self.restart,
                tick=tick,
                seed=self.seed if seed is None else seed,
                tuned=self.tuned,
                opening=self.opening,
            )
            return foretold(harsh, trace)
        except BadInput as error:
            law = "laws." if re.split("[.:]", str(error))[0] in self.laws else ""
            raise BadInput(f"scenario {self.name}: {law}{error}") from None

    def room(self) -> Space:
        """The room there is when every node is there, nobody has come, and what is cut at the opening is cut."""
        room = Space(tuple(replace(node, present=True) for node in self.nodes), self.tenants)
        for cut in self.opening:
            room.close(cut.accelerator)
            room.cut(cut.accelerator, cut.profiles)
        return room

    def drawn(self, number: int) -> Scenario:
        """The same world with another chance: that of the window of this number."""
        if self.plain:
            return self
        return replace(self, seed=int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0]))

    def as_dict(self) -> dict[str, Any]:
        """All that decides what happens in it, in plain values."""
        return {
            "nodes": [asdict(node) for node in self.nodes],
            "tenants": None if self.tenants is None else self.tenants.as_dict(),
            "laws": {name: asdict(law) for name, law in self.laws.items()},  # type: ignore[call-overload]
            "restart": self.restart,
            "seed": self.seed,
            "tuned": self.tuned,
            "opening": [asdict(cut) for cut in self.opening],
        }

    def without(self, *names: str) -> Scenario:
        """The same world without some of its laws."""
        return replace(self, laws={name: law for name, law in self.laws.items() if name not in names})


def of_cluster(cluster: Nodes | str, restart: float = RESTART) -> Scenario:
    """The plain world of a cluster spec, or of nodes."""
    nodes = parse(cluster) if isinstance(cluster, str) else tuple(cluster)
    return Scenario(cluster if isinstance(cluster, str) else describe(nodes), nodes, restart=restart)


def shipped() -> list[str]:
    """The names of the scenarios that come with gpuyard."""
    there = files(__package__).joinpath("scenarios").iterdir()
    return sorted(one.name.removesuffix(".toml") for one in there if one.name.endswith(".toml"))


def scenario(name: str) -> Scenario:
    """Finds a shipped scenario by name, or reads a TOML file. Raises BadInput that names the file and the key."""
    if name in shipped():
        text = files(__package__).joinpath("scenarios").joinpath(f"{name}.toml").read_text(encoding="utf-8")
        return read(text, name, Path())
    path = Path(name)
    if not name.endswith(".toml"):
        raise BadInput(f"no scenario '{name}'.{nearest(name, shipped())} Or give the path of a .toml file.")
    try:
        return read(path.read_text(encoding="utf-8"), name, path.parent)
    except OSError as error:
        raise BadInput(f"scenario {name}: {error.strerror}; give the path of a TOML file") from None
    except UnicodeDecodeError:
        raise BadInput(f"scenario {name}: is not UTF-8 text; save it as such") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesTable:
    """One `[[nodes]]`: like nodes.

    Attributes:
        count: how many.
        accelerators, kind: what each has.
        prefix: of their names; the pool's name, or "n".
        cpus, memory_gib: of the host.
        per_rack: nodes in a rack; None for no racks.
        mig: profiles of the MIG instances into which each accelerator is cut at the opening; none to leave them whole.
        site, pool, present, spot, usd_per_hour, watts: see `nodes.Node`.
    """

    count: int = 1
    accelerators: int = 0
    kind: str = ""
    prefix: str | None = None
    cpus: float | None = None
    memory_gib: float | None = None
    per_rack: int | None = None
    mig: list[str] = field(default_factory=list)
    site: str | None = None
    pool: str | None = None
    present: bool = True
    spot: bool = False
    usd_per_hour: float = 0.0
    watts: float = 0.0

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        for key in ("count", "accelerators", "cpus", "memory_gib", "usd_per_hour", "watts"):
            least, value = int(key == "count"), getattr(self, key)
            if value is not None and not least <= value < MOST:
                raise BadInput(f"'{key}' cannot be {value}; give {least} or more, and below {MOST:,}")
        if self.count * self.accelerators > MOST:
            raise BadInput(f"'count' x 'accelerators' is {self.count * self.accelerators:,}; {MOST:,} can be at most")
        for key in ("prefix", "pool"):
            if set("#/").intersection(getattr(self, key) or ""):
                raise BadInput(f"'{key}' cannot be '{getattr(self, key)}': # and / are for what is on a node")
        if bool(self.accelerators) is not bool(self.kind):
            raise BadInput("'accelerators' and 'kind' go together; give both or neither")
        if not self.present and self.pool is None:
            raise BadInput("'present = false' needs a 'pool' from which the nodes can be provisioned")
        if self.spot and self.pool is None:
            raise BadInput("'spot = true' needs a 'pool' from which nodes that went can be provisioned again")
        if self.per_rack is not None and self.per_rack < 1:
            raise BadInput(f"'per_rack' cannot be {self.per_rack}; give 1 or more")
        if self.mig and not self.present:
            raise BadInput("'mig' is for nodes that are there from the beginning; cut others by decisions")
        try:
            instances(self.kind, tuple(self.mig))
        except InvalidDecision as error:
            raise BadInput(f"'mig' cannot be {self.mig}: {error}") from None

    def nodes(self, first: int, pue: float) -> list[Node]:
        """The nodes, named from number `first` on."""
        return [self._node(first, n, pue) for n in range(self.count)]

    def _node(self, first: int, number: int, pue: float) -> Node:
        prefix = self.prefix or (f"{self.pool}-" if self.pool else "n")
        name = f"{prefix}{number if self.prefix or self.pool else first + number}"
        known = facts(self.kind)
        memory = known.memory if known is not None else None
        rack = None if self.per_rack is None else f"{self.site or ''}{prefix}rack{number // self.per_rack}"
        return Node(
            name,
            tuple(Accelerator(f"{name}/{i}", self.kind, memory) for i in range(self.accelerators)),
            self.cpus,
            None if self.memory_gib is None else int(self.memory_gib * 2**30),
            rack, self.site, self.pool, self.present, self.spot, self.usd_per_hour, self.watts, pue,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SiteTable:
    """One `[sites.NAME]`: watts drawn from the grid for each watt of its nodes."""

    pue: float = 1.0

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        if not 1 <= self.pue < 10:
            raise BadInput(f"'pue' cannot be {self.pue}; give 1 or more")


@dataclass(frozen=True, slots=True)
class TenantTable:
    """One `[tenants.NAME]`: see `tenants.Tenant`."""

    weight: float = 1.0
    quota: float | None = None
    borrow: float | None = None
    lend: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A scenario's file; its laws are read one by one."""

    nodes: list[NodesTable] = field(default_factory=list)
    about: str = ""
    trace: str | None = None
    estimates: str = "recorded"
    restart: float = RESTART
    seed: int = 0
    tuned: bool = False
    patience: float = 0.0
    sites: dict[str, SiteTable] = field(default_factory=dict)
    tenants: dict[str, TenantTable] = field(default_factory=dict)
    laws: Any = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises BadInput that names the key."""
        if not 0 <= self.restart < inf:
            raise BadInput(f"'restart' cannot be {self.restart}; give seconds, 0 or more")
        if self.seed < 0:
            raise BadInput(f"'seed' cannot be {self.seed}; give 0 or more")
        with_estimates(Trace((), {}), self.estimates)


def read(text: str, name: str, folder: Path) -> Scenario:
    """Reads a scenario from TOML; files that it names are looked for beside it. Raises BadInput that names the key."""
    where = f"scenario {name}"
    try:
        table = tomllib.loads(text)
    except ValueError as error:
        raise BadInput(f"{where}: not valid TOML: {error}") from None
    file = filled(File, table, where)
    if not file.nodes:
        raise BadInput(f"{where}: has no [[nodes]]; say what machines there are")
    nodes: list[Node] = []
    opening: list[Partition] = []
    for rack in file.nodes:
        if rack.site is not None and file.sites and rack.site not in file.sites:
            raise BadInput(f"{where}: nodes are at site '{rack.site}'.{nearest(rack.site, list(file.sites))}")
        more = rack.nodes(len(nodes), file.sites[rack.site].pue if rack.site in file.sites else 1.0)
        nodes += more
        opening += [Partition(a.id, tuple(rack.mig)) for node in more for a in node.accelerators if rack.mig]
    if twice := len(nodes) - len({node.id for node in nodes}):
        raise BadInput(f"{where}: {twice} nodes have names of others; give their [[nodes]] a 'prefix' of their own")
    with within(where):
        tenants = Tenants(
            [Tenant(one, t.weight, t.quota, t.borrow, t.lend) for one, t in file.tenants.items()], file.patience
        )
    return Scenario(
        name, tuple(nodes), file.about, None if file.trace is None else _beside(file.trace, folder), file.estimates,
        tenants if tenants.named else None, _laws(file.laws, where, folder), file.restart, file.seed, file.tuned,
        tuple(opening),
    )  # fmt: skip


def _beside(spec: str, folder: Path) -> str:
    """The same trace, its file found beside the scenario's file if it is there; options may follow behind commas."""
    source, colon, path = spec.partition(":") if ":" in spec else ("", "", spec)
    options = ""
    while "," in path and not (folder / path).exists():
        path, _, option = path.rpartition(",")
        options = f",{option}{options}"
    made = source in ("synthetic", "fetched") or not (folder / path).exists()
    return spec if made else f"{source}{colon}{folder / path}{options}"


@cache
def all_laws() -> dict[str, type]:
    """The laws there are: each module of `envs.laws` that has a class of its own name, capitalised."""
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(law_room.__path__):
        held = vars(import_module(f"{law_room.__name__}.{module.name}"))
        if isinstance(one := held.get(module.name.capitalize()), type) and is_dataclass(one):
            found[module.name] = one
    return found


def _laws(said: object, where: str, folder: Path) -> dict[str, Law]:
    """The laws of a file that are on, by name, in the order of their names."""
    if not isinstance(said, dict):
        raise BadInput(f"{where}: 'laws' wants a table for each law, as in [laws.checkpoints]")
    laws: dict[str, Law] = {}
    for name in sorted(said):
        if name not in all_laws():
            raise BadInput(f"{where}: there is no law '{name}'.{nearest(name, list(all_laws()))}")
        if not isinstance(said[name], dict):
            raise BadInput(f"{where}: laws.{name} wants a table; an empty [laws.{name}] has all its defaults")
        kind = all_laws()[name]
        laws[name] = filled(kind, nearby(said[name], filenames(kind), folder), f"{where}: laws.{name}", name)
    return laws
