"""How fast families of models are, as measured: by kind of accelerator, gang and spread, and packed with each other."""

from __future__ import annotations

import tomllib
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import pairwise
from math import inf, log
from typing import Any

from ..traces.job import Trace
from ..traces.trouble import BadInput, nearest


@dataclass(frozen=True, slots=True)
class Curve:
    """Rates by gang, in any unit that is constant within a profile.

    What was measured stays as it is, noise and all: where four accelerators were slower than two, a job that grows
    from two to four slows down.

    Attributes:
        gangs: sizes that were measured, ascending.
        rates: of the whole gang.
    """

    gangs: tuple[int, ...]
    rates: tuple[float, ...]

    def at(self, gang: int) -> float | None:
        """As measured; between two measured sizes on a straight line in logarithms; None outside them."""
        if not self.gangs[0] <= gang <= self.gangs[-1]:
            return None
        after = bisect_left(self.gangs, gang)
        if self.gangs[after] == gang:
            return self.rates[after]
        (g0, g1), (r0, r1) = self.gangs[after - 1 : after + 1], self.rates[after - 1 : after + 1]
        return float(r0 * (r1 / r0) ** (log(gang / g0) / log(g1 / g0)))

    def beyond(self, gang: int, scaling: float) -> float:
        """The same, and outside them that of the nearest size, times (gang / nearest)^scaling."""
        edge = min(max(gang, self.gangs[0]), self.gangs[-1])
        rate = self.at(edge)
        assert rate is not None
        return float(rate * (gang / edge) ** scaling)


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a family of models.

    Attributes:
        name: such as "resnet".
        near: kind -> rates of gangs on one node.
        spread: kind -> rates of gangs on several nodes.
        kept: kind -> other profile -> the part of its own rate that it keeps when both are packed on one accelerator.
        busy: how busy it makes a V100, 0 to 1.
        memory: bytes that it is seen to use on each accelerator, if there are so many; no demand, as `Job.memory` is.
        checkpoint: bytes of its saved state.
        link: bytes a second that each accelerator of a gang sends to others.
    """

    name: str
    near: Mapping[str, Curve]
    spread: Mapping[str, Curve] = field(default_factory=dict)
    kept: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    busy: float | None = None
    memory: int | None = None
    checkpoint: int | None = None
    link: float | None = None

    @property
    def home(self) -> str:
        """The kind on which most gangs were measured, the first of them."""
        return max(self.near, key=lambda kind: len(self.near[kind].gangs))

    def carried(self, kind: str, gang: int, spread: bool, scaling: float, apart: float) -> float | None:
        """The rate as measured, else carried over; None for a kind that was not measured at all.

        A kind on which one gang alone was measured scales as `home` does, and pays for spread as `home` does; beyond
        every measured gang `scaling` is the exponent; `apart` is the part kept where no spread was ever measured.
        """
        if kind not in self.near:
            return None
        if spread and gang > 1 and kind in self.spread:
            return self.spread[kind].beyond(gang, scaling)
        here, home = self.near[kind], self.near[self.home]
        rate = here.beyond(gang, scaling)
        if len(here.gangs) == 1:
            only = here.gangs[0]
            rate = here.rates[0] * home.beyond(gang, scaling) / home.beyond(only, scaling)
        if spread and gang > 1:
            far = self.spread.get(self.home)
            rate *= apart if far is None else far.beyond(gang, scaling) / home.beyond(gang, scaling)
        return rate


@dataclass(frozen=True, slots=True)
class Profiles:
    """A set of profiles, built in or from one table of measurements.

    Attributes:
        source: what it was read from.
        of: name -> profile.
        aka: other names of the same families, as traces write them -> name.
        alike: kind -> kind that is as fast.
    """

    source: str
    of: Mapping[str, Profile]
    aka: Mapping[str, str] = field(default_factory=dict)
    alike: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The profiles there are."""
        return tuple(self.of)

    def find(self, name: str | None) -> Profile | None:
        """A profile by its name or another name of its family; "(batch size 64)" behind a name may be left out."""
        if name is None or name in self.of:
            return None if name is None else self.of[name]
        short = name.partition(" (batch size")[0]
        return self.of.get(self.aka.get(short, short))

    def kind(self, kind: str) -> str:
        """The kind under whose name a kind was measured."""
        return self.alike.get(kind, kind)

    def rate(self, profile: str, kind: str, gang: int, spread: bool = False) -> float | None:
        """The rate of a gang, in a unit that is constant within the profile; None where it was not measured."""
        if (one := self.find(profile)) is None:
            return None
        curve = (one.spread if spread and gang > 1 else one.near).get(self.kind(kind))
        return None if curve is None else curve.at(gang)

    def speed(
        self, profile: str, kind: str, gang: int, spread: bool = False, *, reference_kind: str, reference_gang: int
    ) -> float | None:
        """How fast a gang is, relative to another on one node of another kind; None where either was not measured."""
        mine, other = self.rate(profile, kind, gang, spread), self.rate(profile, reference_kind, reference_gang)
        return None if mine is None or other is None else mine / other

    def pace(
        self,
        profile: str | None,
        kind: str,
        gang: int,
        spread: bool = False,
        *,
        reference_kind: str,
        reference_gang: int,
        scaling: float,
        apart: float,
    ) -> float | None:
        """Like `speed`, but carried over where gang or spread was not measured, see `Profile.carried`.

        None for a profile that is not known, and for a kind that was not measured unless it is the reference.
        """
        if (one := self.find(profile)) is None:
            return None
        here, there = self.kind(kind), self.kind(reference_kind)
        if here == there and here not in one.near:
            here = there = one.home
        mine = one.carried(here, gang, spread, scaling, apart)
        other = one.carried(there, reference_gang, False, scaling, apart)
        return None if mine is None or other is None else mine / other

    def kept(self, profile: str | None, other: str | None, kind: str) -> float | None:
        """The part of its rate that a job keeps when packed with another on one accelerator.

        0 if the two were infeasible together, for want of memory; None if nobody measured them.
        """
        one, two = self.find(profile), self.find(other)
        if one is None or two is None:
            return None
        return one.kept.get(self.kind(kind), {}).get(two.name)

    def check(self, trace: Trace, kinds: Iterable[str], reference: str = "V100") -> None:
        """Raises BadInput if a job may come to a kind, or refers to one, on which its profile was not measured.

        Args:
            trace: the jobs.
            kinds: those that the cluster has.
            reference: the kind of recorded durations of jobs that name no kind.
        """
        there = set(kinds)
        for profile, wanted in sorted({(j.profile, j.kinds) for j in trace.jobs if j.profile is not None and j.gang}):
            mine = wanted[0] if wanted else reference
            for kind in sorted(there.intersection(wanted) if wanted else there):
                if self.kind(kind) != self.kind(mine):
                    self._must(profile, kind, "the cluster has")
                    self._must(profile, mine, "its recorded duration is on")

    def _must(self, profile: str, kind: str, why: str) -> None:
        one = self.find(profile)
        if one is None:
            raise BadInput(
                f"profiles {self.source}: there is no profile '{profile}', which a job has."
                f"{nearest(profile, list(self.of))} Or give laws.speed.profiles a table that has it."
            )
        if self.kind(kind) not in one.near:
            raise BadInput(
                f"profiles {self.source}: '{profile}' was not measured on {kind}, which {why}; give its jobs kinds "
                f"that were ({', '.join(one.near)}), or laws.speed.profiles a table that has it; the trace's option "
                "modern=1, for profiles=1, draws families that were measured on recent kinds"
            )


@cache
def builtin() -> Profiles:
    """The profiles that come with gpuyard: see `profiles.toml`."""
    return read(files(__package__).joinpath("profiles.toml").read_text(encoding="utf-8"), "builtin")


@cache
def facts_of(profile: str | None) -> Profile | None:
    """What is known of a family of models, None if nothing is."""
    return builtin().find(profile)


def read(text: str, source: str) -> Profiles:
    """Reads profiles from TOML that is written as `profiles.toml` is. Raises BadInput that names the key."""
    try:
        table = tomllib.loads(text)
        kept = _matrices(table.get("kept", {}))
        made = {name: _profile(name, one, kept) for name, one in table["profiles"].items()}
        aka = {other: name for name, one in table["profiles"].items() for other in one.get("aka", ())}
        return Profiles(source, made, aka, table.get("alike", {}))
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"profiles {source}: not valid TOML: {error}") from None
    except BadInput as error:
        raise BadInput(f"profiles {source}: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInput(f"profiles {source}: cannot be read ({error!r}); write it as profiles.toml is written") from None


def _matrices(table: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Kind -> own -> other -> part kept."""
    return {kind: {own: dict(row) for own, row in rows.items()} for kind, rows in table.items()}


def _profile(name: str, table: Mapping[str, Any], kept: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Profile:
    near = {kind: _curve(said, f"profiles.{name}.near.{kind}") for kind, said in table["near"].items()}
    if not near:
        raise BadInput(f"profiles.{name}.near is empty; give the rates of one kind at least")
    return Profile(
        name,
        near,
        {kind: _curve(said, f"profiles.{name}.spread.{kind}") for kind, said in table.get("spread", {}).items()},
        {kind: rows[name] for kind, rows in kept.items() if name in rows},
        **{key: _only(value, f"profiles.{name}.facts.{key}") for key, value in table.get("facts", {}).items()},
    )


def _curve(said: Any, where: str) -> Curve:
    points = [(int(gang), float(rate)) for gang, rate in _only(said, where)]
    rising = all(a < b for (a, _), (b, _) in pairwise(points))
    if not points or not rising or not all(g >= 1 and 0 < r < inf for g, r in points):
        raise BadInput(f"{where} cannot be {points}; give [gang, rate] pairs, gangs ascending and rates above 0")
    return Curve(tuple(g for g, _ in points), tuple(r for _, r in points))


def _only(said: Any, where: str) -> Any:
    """What stands behind its one source."""
    if not isinstance(said, dict) or len(said) != 1:
        raise BadInput(f"{where} cannot be {said!r}; write {{ source = what it says }}")
    return next(iter(said.values()))
