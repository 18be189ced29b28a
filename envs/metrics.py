"""What a session was worth, read from its log alone, be it simulated or live."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .cluster import Cluster
from .fairness import jain, rho
from .log import EVENTS, Log, follow
from .meter import KWH
from .outcomes import Floats, Jobs
from .rates import Rate, active_jobs
from .story import Story, read

__all__ = ["Summary", "Tally", "Work", "breakdown", "by_gang", "by_tenant", "integral", "little", "read", "summary"]

CLASSES = (("0", 0), ("1", 1), ("2-4", 4), ("5-8", 8), ("9-16", 16), ("17+", np.inf))
"""Sizes of gangs: name -> the largest, accelerators."""


@dataclass(frozen=True, slots=True)
class Work:
    """Where accelerator-seconds went, of jobs in their places: held = kept + lost + overhead + under_way.

    A second of work counts as many accelerator-seconds as accelerators were asked for (gang x share).

    Attributes:
        held: accelerators in use x seconds, both places while a job moves.
        kept: work of jobs that finished, and of those that may yet.
        lost: work that was done in vain, by cause: since the last snapshot when a job was "preempted" or "lost" with
            its machine; all that a job had done which "failed" or was "cancelled".
        overhead: the rest: restarts, restoring, stalls, moves, slow machines. Below 0 where machines were faster than
            those that the jobs' work was recorded on.
        under_way: held by runs whose end the log does not see, from their start on.
    """

    held: float
    kept: float | None
    lost: Mapping[str, float] | None
    overhead: float | None
    under_way: float


@dataclass(frozen=True, slots=True)
class Tally:
    """How some jobs did. Times in seconds; None where no job ended, or where it is not known.

    Means and percentiles are of jobs that finished or failed; a cancelled job's times are others' doing.

    Attributes:
        jobs: submitted.
        finished, failed, cancelled: ended well, ended badly, ended by their user or sweep.
        mean_jct, ...: from submission to end.
        mean_wait, ...: of that, without a place.
        mean_bounded_slowdown, ...: max(1, JCT / max(run, 10 s)), where run is a job's own work.
        preemptions: stops by a decision that sent a job back to the queue.
        losses: stops with a machine that did.
        restarts: starts of jobs that had started before.
        moves, resizes: arrivals in another place, or with another gang.
        deadlines_met: part of the jobs with a deadline that finished by it, of those that ended or whose deadline has
            passed.
        max_rho, p95_rho, jain: finish-time fairness of jobs and its evenness, see `fairness.rho`; None without tenants.
        work: where accelerator-seconds went.
    """

    jobs: int
    finished: int
    failed: int
    cancelled: int
    mean_jct: float | None
    median_jct: float | None
    p95_jct: float | None
    p99_jct: float | None
    mean_wait: float | None
    median_wait: float | None
    p95_wait: float | None
    p99_wait: float | None
    mean_bounded_slowdown: float | None
    median_bounded_slowdown: float | None
    p95_bounded_slowdown: float | None
    p99_bounded_slowdown: float | None
    preemptions: int
    losses: int
    restarts: int
    moves: int
    resizes: int
    deadlines_met: float | None
    max_rho: float | None
    p95_rho: float | None
    jain: float | None
    work: Work

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Summary(Tally):
    """One run in a few numbers.

    Parts of accelerator-seconds count from the first submission to the log's end, and a machine counts while it is up.

    Attributes:
        makespan: from the first submission to the last end, seconds.
        utilization: accelerator-seconds held over those that were up.
        measured_utilization: how busy accelerators were measured, in the mean over the accelerator-seconds that were.
        fragmentation: part of the free accelerator-seconds that a job drawn from the log's could not have used, see
            `Ground.fragments`; None where no job asked for any.
        goodput: accelerator-seconds of work kept over those that were up.
        energy_kwh, carbon_kg, usd: drawn from the grid, CO2 equivalent, electricity and rents and bills: the ledger's
            meter (`meter.Meter`), from second 0 on.
        decisions: made by the policy, or by the ledger for tenants.
    """

    makespan: float | None
    utilization: float | None
    measured_utilization: float | None
    fragmentation: float | None
    goodput: float | None
    energy_kwh: float | None
    carbon_kg: float | None
    usd: float | None
    decisions: int


def summary(log: Log, only: Collection[int] | None = None) -> Summary:
    """Sums a log up. With `only`, what a `Tally` has is of these jobs (a window without its warm-up)."""
    return told(read(log), log, only)


def told(story: Story, log: Log, only: Collection[int] | None = None) -> Summary:
    """The same of a log that was read."""
    jobs, ended, up = story.jobs, story.ended, story.ground.up_seconds
    whole = _work(jobs)
    free, fragments = story.ground.fragments(story.wants)
    busy, known = story.measured
    chosen, fair = jobs, _rho(story, log)
    if only is not None:
        mask = np.isin(jobs.job, list(only))
        chosen, fair = jobs.of(mask), None if fair is None else fair[mask]
    tally = _tally(chosen, story.until, fair)
    some = bool(tally["finished"] + tally["failed"] + tally["cancelled"])
    meter = story.meter
    return Summary(
        **tally,
        makespan=float(ended.end.max()) - story.first if some else None,
        utilization=whole.held / up if some and up else None,
        measured_utilization=busy / known if known else None,
        fragmentation=fragments / free if some and free and story.wants else None,
        goodput=whole.kept / up if some and up and whole.kept is not None else None,
        energy_kwh=None if meter.joules is None else meter.joules / KWH,
        carbon_kg=None if meter.grams is None else meter.grams / 1000,
        usd=meter.usd,
        decisions=story.decisions,
    )


def breakdown(log: Log) -> dict[str, dict[str, Tally]]:
    """How the jobs of each tenant did, and those of each size of gang: `by_tenant`, `by_gang`."""
    story = read(log)
    return divided(story, log)


def divided(story: Story, log: Log) -> dict[str, dict[str, Tally]]:
    """The same of a log that was read."""
    jobs, fair = story.jobs, _rho(story, log)
    groups = {"by_tenant": by_tenant(jobs), "by_gang": by_gang(jobs)}
    return {
        by: {
            name: Tally(**_tally(jobs.of(mask), story.until, None if fair is None else fair[mask]))
            for name, mask in masks
        }
        for by, masks in groups.items()
    }


def integral(log: Log, rate: Rate) -> float:
    """The integral of a rate over a log, from its first event on: what an environment with that rate pays in all."""
    cluster, total, started = Cluster(log.nodes, log.tenants), 0.0, False
    for entry in log.entries:
        if isinstance(entry, EVENTS) and started and entry.time > cluster.now:
            total += rate(cluster) * (entry.time - cluster.now)
        follow(cluster, entry)
        started = True
    return total


def little(log: Log) -> tuple[float, float]:
    """Both sides of Little's law, which are equal for every log: (mean jobs in the system x time, summed times in it).

    The left one is the ledger's, replayed; the right one is read job by job: completion times, and for jobs that have
    not ended the time to the log's end. Job-seconds.
    """
    story = read(log)
    last = np.where(story.jobs.ended, story.jobs.end, story.until)
    return -integral(log, active_jobs), float((last - story.jobs.submit).sum())


def _rho(story: Story, log: Log) -> Floats | None:
    span = story.until - story.first
    return rho(story.jobs, log.tenants, story.ground.up_seconds / span) if log.tenants is not None and span else None


def _tally(jobs: Jobs, until: float, fair: Floats | None) -> dict[str, Any]:
    over = jobs.of(jobs.ended & ~jobs.cancelled)
    failed, cancelled = int(over.failed.sum()), int(jobs.cancelled.sum())
    counts = {name: int(jobs[name].sum()) for name in ("preemptions", "losses", "moves", "resizes")}
    return {
        "jobs": len(jobs),
        "finished": len(over) - failed,
        "failed": failed,
        "cancelled": cancelled,
        **_spread("jct", over.jct),
        **_spread("wait", over.wait),
        **_spread("bounded_slowdown", over.bounded_slowdown),
        **counts,
        "restarts": int(np.maximum(jobs["starts"] - 1, 0).sum()),
        "deadlines_met": _deadlines(jobs, until),
        **_fairness(fair),
        "work": _work(jobs),
    }


def _spread(name: str, values: Floats) -> dict[str, float | None]:
    titles = (f"mean_{name}", f"median_{name}", f"p95_{name}", f"p99_{name}")
    if not len(values):
        return dict.fromkeys(titles)
    return dict(zip(titles, (float(values.mean()), *np.percentile(values, (50, 95, 99)).tolist()), strict=True))


def _deadlines(jobs: Jobs, until: float) -> float | None:
    due = jobs["deadline"]
    known = ~np.isnan(due) & (jobs.ended | (due < until))
    met = jobs.ended & ~jobs.failed & ~jobs.cancelled & (jobs.end <= due)
    return float(met[known].mean()) if known.any() else None


def _fairness(fair: Floats | None) -> dict[str, float | None]:
    known = fair[~np.isnan(fair)] if fair is not None else np.empty(0)
    if not len(known):
        return dict.fromkeys(("max_rho", "p95_rho", "jain"))
    return {"max_rho": float(known.max()), "p95_rho": float(np.percentile(known, 95)), "jain": jain(known)}


def _work(jobs: Jobs) -> Work:
    held, under_way = float(jobs["seat"].sum()), float(jobs["open"].sum())
    if np.isnan(jobs["kept"]).any():
        return Work(held, None, None, None, under_way)
    width, vain = jobs["width"], jobs.failed | jobs.cancelled
    done, end = jobs["kept"] * width, jobs["lost_ended"] * width
    lost = {
        "preempted": float((jobs["lost_preempted"] * width).sum()),
        "lost": float((jobs["lost_lost"] * width).sum()),
        "failed": float((done + end)[jobs.failed].sum()),
        "cancelled": float((done + end)[jobs.cancelled].sum()),
    }
    kept = float(done[~vain].sum())
    return Work(held, kept, lost, held - under_way - kept - sum(lost.values()), under_way)


def by_tenant(jobs: Jobs) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Each tenant with the mask of its jobs, shape (n,)."""
    names = np.array([tenant or "" for tenant in jobs.tenants], object)
    for name in sorted(set(names)):
        yield name or "none", (names == name).astype(bool)


def by_gang(jobs: Jobs) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Each class of gang sizes that there is with the mask of its jobs, shape (n,)."""
    least = -1.0
    for name, most in CLASSES:
        mask = (jobs.gang > least) & (jobs.gang <= most)
        least = most
        if mask.any():
            yield name, mask
