"""How the policies of a contest stand: each one's scores, and its duels with the reference on the same windows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .contest import Key, Outcome
from .entrants import Entrant, is_oracle
from .groups import KINDS, Group, Sums, against, chosen, stacked, sums
from .intervals import Draws, Duel, Floats, Interval, Runs, duel, holm, verdict
from .scores import CENTRAL, MAIN, METRICS


@dataclass(frozen=True, slots=True)
class Standing:
    """One policy at one load.

    Attributes:
        policy: its name.
        load: how many times as fast jobs were submitted.
        members: the policies that the name stands for; several are seeds.
        runs: metric -> scores, shape (seeds, windows); NaN where it left jobs unfinished, or nobody knows.
        means: metric -> mean over seeds and windows.
        middles: metric -> interquartile mean, of the central metrics.
        duels: metric -> against the reference; empty for the reference itself.
        groups: "gang" or "tenant" -> group -> how it was served.
        unfinished: scored jobs that never ended, over all windows and seeds.
        longest_wait: seconds, over all of them.
        wall_seconds: of all its simulations together.
    """

    policy: str
    load: float
    members: tuple[str, ...]
    runs: Mapping[str, Floats]
    means: Mapping[str, Interval]
    middles: Mapping[str, Interval]
    duels: Mapping[str, Duel]
    groups: Mapping[str, Mapping[str, Group]]
    unfinished: int
    longest_wait: float
    wall_seconds: float

    @property
    def oracle(self) -> bool:
        """Whether it knows what no policy can know, and so is out of competition."""
        return is_oracle(self.policy)

    def scores(self, metric: str = MAIN) -> Floats:
        """A score for each window, the mean over seeds, shape (windows,)."""
        scores: Floats = self.runs[metric].mean(0)
        return scores

    def as_dict(self) -> dict[str, Any]:
        """For `--json` and `comparison.json`, without the scores; None where there is no number."""
        return {
            "policy": self.policy,
            "oracle": self.oracle,
            "load": self.load,
            "seeds": len(self.members),
            "members": list(self.members),
            "means": {name: plain(one) for name, one in self.means.items()},
            "interquartile_means": {name: plain(one) for name, one in self.middles.items()},
            "against_reference": {name: plain(one) for name, one in self.duels.items()} or None,
            "groups": {kind: {name: plain(one) for name, one in some.items()} for kind, some in self.groups.items()},
            "unfinished": self.unfinished,
            "longest_wait": self.longest_wait,
            "wall_seconds": self.wall_seconds,
        }


def standings(
    known: Mapping[Key, Outcome],
    rows: Sequence[Entrant],
    draws: Draws,
    reference: str,
    loads: Sequence[float] = (1.0,),
) -> list[Standing]:
    """Sums outcomes up, load by load in the order of `rows`. One draw of windows serves every interval."""
    teams = {one.name: one.members for one in rows}
    rounds = [_Round(known, teams, load, reference, draws) for load in loads]
    return corrected([one.standing(name) for one in rounds for name in teams])


def corrected(found: Sequence[Standing]) -> list[Standing]:
    """The same with verdicts by p-values after Holm, over all rivals and loads of a metric; oracles are no rivals."""
    duels = {id(one): dict(one.duels) for one in found}
    for metric, about in METRICS.items():
        rivals = [one for one in found if metric in one.duels and not one.oracle]
        for one, p in zip(rivals, holm([one.duels[metric].p for one in rivals]), strict=True):
            old = one.duels[metric]
            says = verdict(old.difference.value, p, about.more)
            duels[id(one)][metric] = replace(old, corrected=p, verdict=says)
    for one in found:
        if one.oracle:
            duels[id(one)] = {m: replace(old, corrected=np.nan, verdict="oracle") for m, old in one.duels.items()}
    return [replace(one, duels=duels[id(one)]) for one in found]


class _Round:
    """All policies at one load, on the same windows."""

    def __init__(
        self,
        known: Mapping[Key, Outcome],
        teams: Mapping[str, tuple[str, ...]],
        load: float,
        reference: str,
        draws: Draws,
    ) -> None:
        self.teams, self.load, self.reference, self.draws = teams, load, reference, draws
        windows = range(draws.windows.shape[1])
        self.rows = {n: [[known[member, load, w] for w in windows] for member in team] for n, team in teams.items()}
        self.weights = {name: draws.seeds(name, len(team)) for name, team in teams.items()}
        self.scores = {name: {m: _scores(rows, m) for m in METRICS} for name, rows in self.rows.items()}
        self.there = {m: _there([scores[m] for scores in self.scores.values()]) for m in METRICS}
        self.drawn = {m: draws.only(there) for m, there in self.there.items()}
        self.runs = {name: {m: self._runs(name, m) for m in METRICS} for name in teams}
        self.parts = {kind: self._parts(kind) for kind in KINDS}

    def standing(self, name: str) -> Standing:
        """How one of them stands."""
        rows, mine = [row for seed in self.rows[name] for row in seed], self.runs[name]
        return Standing(
            name,
            self.load,
            self.teams[name],
            self.scores[name],
            {m: one.mean for m, one in mine.items()},
            {m: mine[m].middle(self.drawn[m]) for m in CENTRAL},
            {m: self._duel(name, m) for m in METRICS if name != self.reference},
            {kind: self._groups(name, kind) for kind in KINDS},
            sum(row.unfinished for row in rows),
            max(row.max_wait or 0.0 for row in rows),
            sum(row.wall_seconds for row in rows),
        )

    def _runs(self, name: str, metric: str) -> Runs:
        return Runs.of(self.scores[name][metric][:, self.there[metric]], self.weights[name], self.drawn[metric])

    def _duel(self, name: str, metric: str) -> Duel:
        mine, theirs = self.runs[name][metric], self.runs[self.reference][metric]
        return duel(mine, theirs, self.drawn[metric], METRICS[metric].more)

    def _parts(self, kind: str) -> dict[str, Sums]:
        """What each policy's runs add up to, for the groups that are told of."""
        texts = {name: [[row.groups for row in seed] for seed in rows] for name, rows in self.rows.items()}
        told = chosen(kind, stacked(texts[self.reference], kind))
        parts = {name: stacked(some, kind, told) for name, some in texts.items()}
        return {name: sums(some, self.weights[name], self.draws) for name, some in parts.items()}

    def _groups(self, name: str, kind: str) -> dict[str, Group]:
        mine, theirs = self.parts[kind][name], self.parts[kind][self.reference]
        own = name == self.reference
        found = {group: against(mine, None if own else theirs, group) for group in mine.of}
        return found if any(group.jobs for group in found.values()) else {}


def rival(found: Sequence[Standing], reference: str, heuristics: Collection[str]) -> Standing | None:
    """The best of the others by the mean of the main metric; of the heuristics among them, if there are any."""
    others = [one for one in ranked(found) if one.policy != reference and np.isfinite(one.means[MAIN].value)]
    rules = [one for one in others if one.policy in heuristics]
    return min(rules or others, key=lambda one: one.means[MAIN].value, default=None)


def ranked(found: Sequence[Standing]) -> list[Standing]:
    """Those that compete."""
    return [one for one in found if not one.oracle]


def at(found: Sequence[Standing], load: float) -> list[Standing]:
    """Those at one load."""
    return [one for one in found if one.load == load]


def named(found: Sequence[Standing], policy: str) -> Standing:
    """The one of this name."""
    return next(one for one in found if one.policy == policy)


def told(found: Sequence[Standing], metrics: Iterable[str]) -> list[str]:
    """Of these metrics, those that say something of somebody: a number for some policy, and not zero for all."""
    values = {metric: [one.means[metric].value for one in found] for metric in metrics}
    return [metric for metric, some in values.items() if any(np.isfinite(value) and value for value in some)]


def extremes(reference: Standing, other: Standing) -> dict[str, int]:
    """The windows of the reference's largest win and largest loss against another, by the ratio of their scores."""
    ratios = reference.scores() / other.scores()
    if not np.isfinite(ratios).all():
        return {}
    best, worst = int(ratios.argmin()), int(ratios.argmax())
    return ({"wins": best} if ratios[best] < 1 else {}) | ({"loses": worst} if ratios[worst] > 1 else {})


def _scores(rows: Sequence[Sequence[Outcome]], metric: str) -> Floats:
    """A policy that leaves jobs undone has no score there: a mean of the others would flatter it."""
    values = [[None if row.unfinished else getattr(row, metric) for row in seed] for seed in rows]
    return np.array(values, np.float64)


def _there(scores: Sequence[Floats]) -> npt.NDArray[np.bool_]:
    """The windows of which somebody knows a metric: where no job has a deadline, nobody met any."""
    known: npt.NDArray[np.bool_] = np.any([np.isfinite(some).any(0) for some in scores], 0)
    return known


def plain(one: Any) -> Any:
    """A record in plain values, None for numbers that are not finite."""
    return _number(asdict(one))


def _number(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _number(part) for key, part in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value
