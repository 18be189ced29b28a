"""Which jobs a comparison may use: the part of the trace by time, its windows, and what learned policies saw before."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..envs.session import Policy
from ..traces.job import Trace
from ..traces.trouble import BadInput
from ..traces.windows import PARTS, fingerprint, split, window, window_starts
from .train import FRACTIONS, GAP


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A part of a trace, and windows of it.

    Attributes:
        whole: the trace that was split.
        name: "train", "validation", "test" or "all".
        jobs: the part itself, with the trace's own times.
        windows: consecutive jobs of the part behind those that warm it up, each rebased to second 0.
        fits: how many windows there are at most of which no two score the same job.
        shared: the most windows that follow one another and score jobs of the first of them; 1 if none do.
    """

    whole: Trace
    name: str
    jobs: Trace
    windows: tuple[Trace, ...]
    fits: int
    shared: int = 1

    @property
    def disjoint(self) -> bool:
        """Whether no job is scored in two windows."""
        return self.shared == 1

    @property
    def block(self) -> int:
        """How many neighbouring windows a bootstrap is to draw together, so that it sees how much they share.

        Twice as many as share jobs: over runs just as long, the means of two neighbours would still lean on each other.
        """
        return 1 if self.disjoint else min(2 * self.shared, len(self.windows) // 2)

    def dates(self) -> dict[str, Any]:
        """When the part begins and ends: seconds of the trace, and dates where the trace knows its own."""
        first, last = self.jobs.jobs[0].submit, self.jobs.jobs[-1].submit
        return {"part": self.name, "jobs": len(self.jobs), "from_second": first, "to_second": last} | {
            "from": date(self.whole, first),
            "to": date(self.whole, last),
            "fractions": list(FRACTIONS),
            "gap_seconds": GAP,
        }


def held_out(trace: Trace, name: str, count: int, jobs: int, warmup: int = 0) -> HeldOut:
    """Takes `count` windows of `jobs` jobs each, evenly spread over a part of a trace, the same at every call.

    Before each stand the `warmup` jobs that were submitted before it, if need be those of earlier parts: they fill the
    cluster, and are nobody's score. No job is scored twice if the part is long enough, else windows overlap. Raises
    BadInput when there are too few jobs.
    """
    part = trace if name == "all" else dict(zip(PARTS, split(trace, FRACTIONS, GAP), strict=True))[name]
    at = {job.id: row for row, job in enumerate(trace.jobs)}
    first, end = max(at[part.jobs[0].id], warmup), at[part.jobs[-1].id] + 1
    scored = trace.of(trace.jobs[first:end])
    fits = len(scored) // jobs
    if fits < 2 <= count <= len(scored) - jobs + 1:
        raise BadInput(
            f"--jobs {jobs}: the {name} part has {len(scored):,} jobs, too few for two windows that share none, so "
            "that nothing could be said of chance; take fewer --jobs, or a longer trace"
        )
    starts = [first + at for at in window_starts(scored, jobs, count, disjoint=fits >= count)]
    cut = tuple(window(trace, start - warmup, start + jobs) for start in starts)
    return HeldOut(trace, name, part, cut, fits, max(bisect_left(starts, s + jobs) - n for n, s in enumerate(starts)))


def seen_before(chosen: Mapping[str, Policy], part: HeldOut) -> Iterator[str]:
    """Warns of learned policies whose training or choice saw the jobs, or may have seen the jobs, of this part."""
    cards = {name: getattr(one, "card", None) for name, one in chosen.items()}
    if learned := {name: card for name, card in cards.items() if isinstance(card, Mapping)}:
        sha = fingerprint(part.whole)
        told = {name: _seen(card, part, sha) for name, card in learned.items()}
        yield from (f"{name} {words}" for name, words in told.items() if words)


def _seen(card: Mapping[str, Any], part: HeldOut, sha: str) -> str:
    trained, cut = card.get("trace") or {}, card.get("split") or {}
    if not trained.get("sha256") or not cut.get("train"):
        return "does not say what it was trained on; it may have seen these jobs"
    overlap = _overlap(cut, part)
    if trained["sha256"] == sha:
        return f"was {overlap} jobs of this part: its scores here are not those of jobs it never saw" if overlap else ""
    if trained.get("name") != part.whole.name:
        return f"was trained on another trace ({trained.get('name')}): these are zero-shot scores"
    doubt = f"it was perhaps {overlap} jobs of this part" if overlap else "by their times it saw none of these jobs"
    return f"was trained on a trace of the same name, but not of the same jobs and estimates; {doubt}"


def _overlap(cut: Mapping[str, Any], part: HeldOut) -> str:
    """What a policy did with jobs submitted in the part's time: trained on them, or chosen by them."""
    first, last = part.jobs.jobs[0].submit, part.jobs.jobs[-1].submit
    for name, words in (("train", "trained on"), ("validation", "chosen by its scores on")):
        span = cut.get(name) or {}
        if span and span["from"] <= last and span["to"] >= first:
            return words
    return ""


def date(trace: Trace, second: float) -> str | None:
    """The wall-clock time of a second of a trace as ISO 8601, None where the trace does not know."""
    if trace.origin is None:
        return None
    try:
        return (datetime.fromisoformat(trace.origin) + timedelta(seconds=second)).isoformat(" ", "seconds")
    except ValueError:
        return None
