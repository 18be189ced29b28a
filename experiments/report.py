"""A comparison as one HTML page that needs nothing beside it: tables first, then figures, then how to get it again."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

import numpy as np

from ..envs import picture
from ..envs.metrics import read
from ..envs.timeline import timeline
from . import curves, sections
from .board import about, room_left
from .comparison import Comparison
from .entrants import BOUND
from .figures import png, profiles, ratios, spreads, svg
from .fronts import said
from .groups import KINDS
from .scores import MAIN, METRICS
from .screen import number
from .sections import by_load
from .standing import Standing, at, extremes, named, rival
from .template import PAGE

SCORES = """<p>Means over {windows} windows; lower is better. Below each, times the reference's, with the 95&nbsp;%
interval; in colour where the difference is beyond chance (see below). Estimates: {estimates}.</p>"""
DIFFERENCES = """<p>Policy less reference, paired window by window, with the 95&nbsp;% interval of a bootstrap over
windows (and over trained seeds, where there are several). A policy counts as better or worse only where p is below
5&nbsp;%, after Holm's correction for {rivals} comparisons by each metric. Probability of improvement and wins are of
the {main}: how likely a window is to go better than with the reference (equal ones counted half), and the share that
did.</p>"""
MOST = 95
"""Per cent of the jobs until whose end a window is drawn: a few of the longest may run for weeks after all the rest."""
SERVED = """<p>Mean completion time of all jobs of a group over all windows, below it times the reference's with its
95&nbsp;% interval (each by itself: of so many, some exclude 1 by chance), and their mean bounded slowdown.</p>"""
HEADROOM = """<p><b>Headroom.</b> {lines}.</p>"""
ORACLES = """<p>Oracles, in grey, are reference lines out of competition: policies that were told the true run times,
and where there is one <i>{bound}</i>, a mean that no schedule can be below and perhaps none can reach.</p>"""


def page(done: Comparison) -> str:
    """The page. All that came from the user is escaped; nothing in it is fetched from anywhere."""
    document, found = done.document, done.everybody
    names = list(dict.fromkeys(one.policy for one in found if not one.oracle))
    rivals = sum(not one.oracle and bool(one.duels) for one in found)
    return PAGE.substitute(
        title=escape(f"{len(names)} policies on {document['provenance']['trace']}"),
        lead="".join(sections.lead(some, done.reference, len(done.loads) > 1) for some in done.by_load.values()),
        notes=notes(document["warnings"]),
        scores=scores(done),
        differences=DIFFERENCES.format(rivals=rivals, main=METRICS[MAIN].words) + by_load(found, sections.differences),
        more="\n".join(more(done)),
        figures="\n".join(figures(done)),
        method=method(document),
        facts=facts(document),
    )


def notes(warnings: Sequence[str]) -> str:
    """What must be known before any number is read."""
    items = "".join(f"<li>{escape(text)}</li>" for text in warnings)
    return f'<div class="notes"><ul>{items}</ul></div>' if items else ""


def scores(done: Comparison) -> str:
    """Means, and what there is to gain at most, load by load."""

    def section(found: Sequence[Standing]) -> str:
        lines = "; ".join(map(escape, room_left(done, found[0].load)))
        return sections.scores(found) + HEADROOM.format(lines=lines)

    head = SCORES.format(windows=done.document["windows"], estimates=escape(done.document["estimates"]))
    oracles = ORACLES.format(bound=BOUND) if any(one.oracle for one in done.everybody) else ""
    return head + by_load(done.everybody, section) + oracles


def more(done: Comparison) -> Iterator[str]:
    """The sections that only some comparisons have."""
    found, first = done.everybody, done.found
    if len(done.loads) > 1:
        yield f"<h2>By load</h2>{sections.loads(found)}"
    yield f"<h2>Use, costs and fairness</h2>{by_load(found, costs)}"
    for kind, words in KINDS.items():
        if len(named(first, done.reference).groups[kind]) > 1:
            table = by_load(found, partial(sections.served, kind=kind, reference=done.reference))
            yield f"<h2>By {words}</h2>{SERVED}{table}"


def costs(found: Sequence[Standing]) -> str:
    """What the world knows beside times, and who is beaten in completion time, carbon and money at once."""
    return sections.others(found) + "".join(f"<p>{escape(text)}.</p>" for text in said(found))


def figures(done: Comparison) -> Iterator[str]:
    """Each figure with what it shows."""
    here, several = done.found, len(done.loads) > 1
    where = f" At load {done.loads[0]:g}." if several else ""
    for load in done.loads:
        yield figure(
            svg(ratios(at(done.everybody, load), done.reference)),
            "Each policy's mean over the reference's with the paired 95 % interval. Green: better; orange: worse; "
            f"grey: no difference shown; hollow: an oracle.{f' At load {load:g}.' if several else ''}",
        )
    if several:
        yield figure(
            svg(curves.loads(done.everybody)),
            "Means by load; bands, where policies are few: 95 % intervals; dotted grey: oracles.",
        )
    if curves.traded(here):
        yield figure(
            svg(curves.trades(here, done.reference)),
            "Completion time against what it costs, in the slowest jobs, energy, carbon and money as far as they are "
            f"known. Full dots are on the Pareto front: no other policy is better in both.{where}",
        )
    yield figure(
        svg(spreads(here)),
        f"Every window's score, with quartiles and median; whiskers reach 1.5 times the box.{where}",
    )
    yield figure(
        svg(profiles(here)),
        "Performance profiles: the higher and further left, the more often a policy is the best or near it. "
        f"Policies that left jobs unfinished are not shown.{where}",
    )
    yield from by_group(done, here, where)
    yield from occupancies(done, here, where)


def by_group(done: Comparison, here: Sequence[Standing], where: str) -> Iterator[str]:
    """Whom each policy served."""
    for kind, words in KINDS.items():
        if len(named(here, done.reference).groups[kind]) > 1:
            drawn = curves.served(here, kind, done.reference)
            yield figure(svg(drawn), f"By {words}: green is better than the reference, brown worse.{where}")


def occupancies(done: Comparison, here: Sequence[Standing], where: str) -> Iterator[str]:
    """Who stood where in the window of the reference's largest win and of its largest loss against its best rival."""
    mine, other = named(here, done.reference), rival(here, done.reference, done.heuristics)
    if other is None:
        return
    for outcome, window in extremes(mine, other).items():
        logs = {one.policy: done.contest.play(one.members[0], window, one.load) for one in (mine, other)}
        until = max(float(np.percentile(read(log).ended.end, MOST)) for log in logs.values())
        for one in (mine, other):
            score, line = number(float(one.scores()[window]), 2), timeline(logs[one.policy])
            drawn = picture.figure(line, f"{one.policy}, window {window}", (11.0, 4.6))
            drawn.axes[0].set_xlim(0.0, until * line.scale[0])
            yield figure(
                f'<img alt="occupancy under {escape(one.policy)}" src="data:image/png;base64,{_base64(png(drawn))}">',
                f"Window {window}, in which {mine.policy} {outcome} by most against {other.policy}: accelerators by "
                f"job under {one.policy}, whose {METRICS[MAIN].words} is {score} there, until {MOST} % of the jobs had "
                f"ended under both.{where}",
            )


def figure(drawn: str, caption: str) -> str:
    """A figure and its caption."""
    return f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>"


def method(document: Mapping[str, Any]) -> str:
    """How the numbers came about, in words."""
    parted = (line.partition(" ") for line in about(document))
    lines = "".join(f"<tr><td>{escape(head)}</td><td>{escape(text.strip())}</td></tr>" for head, _, text in parted)
    return (
        f'<table class="facts">{lines}</table>'
        f"<p>{parts(document['provenance']['split'])} "
        "Every policy met the same windows, estimates, machines, chance and restart costs. "
        f"The first {document['warmup']} jobs of each window fill the cluster and are not scored. "
        "JCT is job completion time, from submission to end. "
        "Bounded slowdown is max(1, JCT / max(run, 10 s)). "
        "Finish-time fairness is JCT over what it would have been on the tenant's own part of the cluster. "
        "Energy, carbon, money and utilisation are of the whole window, its warm-up included.</p>"
    )


def parts(split: Mapping[str, Any]) -> str:
    """How the windows came to be jobs that nobody trained on, in words."""
    if split["part"] == "all":
        return "Windows are of the whole trace, whatever a learned policy was trained on."
    shares = ", ".join(f"{share:.0%}" for share in split["fractions"])
    return (
        f"The trace is parted by time, never at random: {shares} of its jobs to train, to choose and to test by, with "
        f"{split['gap_seconds']:g} s after each cut in no part. Windows are of the {split['part']} part."
    )


def facts(document: Mapping[str, Any]) -> str:
    """All that is needed to get the same numbers again."""
    provenance = dict(document["provenance"])
    text = provenance.pop("command")
    rows = [(key, _cut(value if isinstance(value, str) else json.dumps(value))) for key, value in provenance.items()]
    cells = "".join(f"<tr><td>{escape(key)}</td><td><code>{escape(value)}</code></td></tr>" for key, value in rows)
    return f'<pre>{escape(text)}</pre><table class="facts">{cells}</table>'


def _cut(text: str, most: int = 2000) -> str:
    return text if len(text) <= most else f"{text[:most]} … (whole in comparison.json)"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
