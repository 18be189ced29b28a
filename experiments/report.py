"""A comparison as one HTML page that needs nothing beside it: tables first, then figures, then how to get it again."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from string import Template
from typing import Any

from ..envs import picture
from .board import about, ranged
from .contest import Contest
from .entrants import seeds
from .figures import png, profiles, ratios, spreads, svg
from .intervals import Duel, Interval
from .screen import number
from .sections import groups, load_figure, loads, others, pareto
from .standing import MAIN, METRICS, Standing, extremes, rival

VERDICTS = {"win": "better", "tie": "no difference shown", "loss": "worse", "unknown": "left jobs unfinished"}
HEAD = ("policy", *(f"{words} {unit}".strip() for words, unit in METRICS.values()))

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { margin: 2.5rem auto; max-width: 76rem; padding: 0 1.5rem; background: #fff; color: #222;
       font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .6rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; }
p, li { max-width: 50rem; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; font-size: .92rem; }
.wide { overflow-x: auto; }
th, td { padding: .38rem .6rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; }
th { border-bottom: 2px solid #888; text-align: right; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; min-width: 8rem; }
td small { display: block; color: #555; white-space: nowrap; }
.win { color: #00694b; font-weight: 600; } .loss { color: #a84300; font-weight: 600; } .tie, .unknown { color: #555; }
.notes { border-left: 4px solid #c98a00; background: #fff8e6; padding: .6rem 1rem; margin: 1rem 0; }
.notes ul { margin: 0; padding-left: 1.1rem; }
figure { margin: 1rem 0 2rem; } figure svg, figure img { max-width: 100%; height: auto; }
figcaption { color: #444; font-size: .92rem; max-width: 50rem; }
.facts td { text-align: left; overflow-wrap: anywhere; } .facts td:first-child { white-space: nowrap; color: #555; }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .88rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f5f5f5; padding: .8rem 1rem; }
</style>
</head>
<body>
<h1>$title</h1>
<p>$lead</p>
$notes
<h2>Scores</h2>
<p>Means over $windows windows; lower is better. Below each, times the reference's, with the 95&nbsp;% interval.
Estimates: $estimates.</p>
$scores
$headroom
<h2>Differences</h2>
<p>Policy less reference, paired window by window, with the 95&nbsp;% interval of a bootstrap over windows. A policy
counts as better or worse only where that interval excludes zero. Probability of improvement and wins are of the $main:
how likely a window is to go better than with the reference (equal ones counted half), and the share that did.</p>
$differences
$loads
<h2>Figures</h2>
$figures
$others
$groups
<h2>How it was measured</h2>
$method
<h2>Provenance</h2>
$facts
</body>
</html>
""")


def page(
    document: Mapping[str, Any],
    found: Sequence[Standing],
    reference: str,
    heuristics: Sequence[str],
    contest: Contest,
    by_load: Mapping[float, Sequence[Standing]] | None = None,
) -> str:
    """The page. All that came from the user is escaped; nothing in it is fetched from anywhere."""
    several = by_load if by_load is not None and len(by_load) > 1 else {}
    return PAGE.substitute(
        title=escape(f"{len(found)} policies on {document['provenance']['trace']}"),
        lead=lead(found, reference),
        notes=notes(document["warnings"]),
        windows=document["windows"],
        estimates=escape(document["estimates"]),
        scores=scores(found),
        headroom=headroom(document, found),
        differences=differences(found),
        loads=f"<h2>Loads</h2>{table(*loads(several))}" if several else "",
        others=f"<h2>Other measures</h2>{table(*others(found))}" if len(others(found)[0]) > 1 else "",
        groups=grouped(found, reference, heuristics, contest),
        main=METRICS[MAIN][0],
        figures="\n".join([*figures(found, reference, heuristics, contest), *more_figures(found, several)]),
        method=method(document),
        facts=facts(document),
    )


def lead(found: Sequence[Standing], reference: str) -> str:
    """The finding in one sentence, losses as plainly as wins."""
    parts = []
    for verdict, words in VERDICTS.items():
        some = [one for one in found if one.duels and not one.oracle]
        if names := [one.policy for one in some if one.duels[MAIN].verdict == verdict]:
            parts.append(f'<span class="{verdict}">{words}</span>: {escape(", ".join(names))}')
    return f"Against <b>{escape(reference)}</b>, by {METRICS[MAIN][0]} &ndash; " + "; ".join(parts) + "."


def headroom(document: Mapping[str, Any], found: Sequence[Standing]) -> str:
    """How far the best rule is from what nobody can pass, and from the oracles."""
    bound = document.get("jct_bound")
    able = [one for one in found if not one.oracle and one.means["mean_jct"].value == one.means["mean_jct"].value]
    best = min(able, key=lambda one: one.means["mean_jct"].value, default=None)
    if best is None or (bound is None and not any(one.oracle for one in found)):
        return ""
    mine = best.means["mean_jct"].value
    parts = [f"Headroom: the smallest mean JCT of a policy is {number(mine)} s ({escape(best.policy)})"]
    if bound is not None:
        parts.append(f"no schedule can have less than {number(bound)} s, {bound / mine:.2f} of it (BOUND)")
    parts += [
        f"{escape(one.policy)}, an ORACLE that knows true run times, has {number(one.means['mean_jct'].value)} s"
        for one in found
        if one.oracle
    ]
    return f"<p>{'; '.join(parts)}.</p>"


def more_figures(found: Sequence[Standing], by_load: Mapping[float, Sequence[Standing]]) -> Iterator[str]:
    """What one pays for another, and what the load does."""
    if (drawn := pareto(found)) is not None:
        yield figure(
            svg(drawn),
            "Mean JCT against carbon, money and energy of the whole window. Filled: no other policy is better in one "
            "and no worse in the other of a panel's two.",
        )
    if by_load:
        yield figure(svg(load_figure(by_load)), "The same windows submitted more slowly or faster. Oracles are dotted.")


def grouped(found: Sequence[Standing], reference: str, heuristics: Sequence[str], contest: Contest) -> str:
    """Tables by tenant and by gang of the reference and its best rival."""
    if (other := rival(found, reference, heuristics)) is None:
        return ""
    pair = [(name, seeds(name)[0]) for name in (reference, other.policy)]
    told = [f"<h2>{title}</h2>{table(head, rows)}" for title, head, rows in groups(contest, pair)]
    note = "<p>Means over the jobs of the first windows, played again; warm-ups are among them.</p>"
    return "".join([*told, note]) if told else ""


def notes(warnings: Sequence[str]) -> str:
    """What must be known before any number is read."""
    items = "".join(f"<li>{escape(text)}</li>" for text in warnings)
    return f'<div class="notes"><ul>{items}</ul></div>' if items else ""


def scores(found: Sequence[Standing]) -> str:
    """The table of means, ratios below them."""
    rows = []
    for one in found:
        middle = f"{number(one.middles[MAIN].value, 2)}<small>{escape(_range(one.middles[MAIN], 2))}</small>"
        rest = [middle, number(one.longest_wait), number(one.wall_seconds, 2)]
        rows.append([_name(one), *(_score(one, metric) for metric in METRICS), *rest])
    return table([*HEAD, "interquartile mean slowdown", "longest wait s", "simulation s"], rows)


def differences(found: Sequence[Standing]) -> str:
    """The table of paired differences."""
    rows = []
    for one in found:
        if one.duels:
            duel = one.duels[MAIN]
            cells = [_difference(one, metric) for metric in METRICS]
            rows.append([escape(one.policy), *cells, _percent(duel.improvement), _wins(duel)])
    return table([*HEAD, "probability of improvement", "wins"], rows)


def figures(found: Sequence[Standing], reference: str, heuristics: Sequence[str], contest: Contest) -> Iterator[str]:
    """Each figure with what it shows."""
    yield figure(
        svg(ratios(found, reference)),
        "Each policy's mean over the reference's with the paired 95 % interval. Green: better; orange: worse; grey: "
        "the interval of the difference holds zero.",
    )
    yield figure(
        svg(spreads(found)), "Every window's score, with quartiles and median; whiskers reach 1.5 times the box."
    )
    yield figure(
        svg(profiles(found)),
        "Performance profiles: the higher and further left, the more often a policy is the best or near it. "
        "Policies that left jobs unfinished are not shown.",
    )
    yield from occupancies(found, reference, heuristics, contest)


def occupancies(
    found: Sequence[Standing], reference: str, heuristics: Sequence[str], contest: Contest
) -> Iterator[str]:
    """Who stood where in the window of the reference's largest win and of its largest loss against its best rival."""
    mine = next(one for one in found if one.policy == reference)
    if (other := rival(found, reference, heuristics)) is None:
        return
    for outcome, window in extremes(mine, other).items():
        for one in (mine, other):
            score = number(float(one.scores[MAIN][window]), 2)
            log = contest.play(seeds(one.policy)[0], window)
            drawn = picture.figure(log, f"{one.policy}, window {window}", (11.0, 4.6))
            yield figure(
                f'<img alt="occupancy under {escape(one.policy)}" src="data:image/png;base64,{_base64(png(drawn))}">',
                f"Window {window}, in which {reference} {outcome} by most against {other.policy}: accelerators by job "
                f"under {one.policy}, whose {METRICS[MAIN][0]} is {score} there.",
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
        "<p>Every policy met the same windows, estimates, machines, chance and restart costs. "
        f"The first {document['warmup']} jobs of each window fill the cluster and are not scored. "
        "JCT is job completion time, from submission to end. "
        "Bounded slowdown is max(1, JCT / max(run, 10 s)).</p>"
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


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; cells are HTML already, heads are text."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _name(one: Standing) -> str:
    words = [] if one.duels else ["reference"]
    words += ["ORACLE: knows true run times"] * one.oracle + [f"{one.seeds} seeds"] * (one.seeds > 1)
    return escape(one.policy) + (f"<small>{', '.join(words)}</small>" if words else "")


def _score(one: Standing, metric: str) -> str:
    value = number(one.means[metric].value, 2 if metric == MAIN else 0)
    if (duel := one.duels.get(metric)) is None:
        return value
    return f'{value}<small class="{duel.verdict}">{escape(ranged(duel.ratio))}</small>'


def _difference(one: Standing, metric: str) -> str:
    duel, digits = one.duels[metric], 2 if metric == MAIN else 0
    words = f'<small class="{duel.verdict}">{VERDICTS[duel.verdict]}</small>'
    return f"{_signed(duel.difference.value, digits)}<small>{_range(duel.difference, digits, _signed)}</small>{words}"


def _range(one: Interval, digits: int, form: Callable[[float, int], str] = number) -> str:
    return "" if one.value != one.value else f"[{form(one.low, digits)}, {form(one.high, digits)}]"


def _percent(one: Interval) -> str:
    return "-" if one.value != one.value else f"{one.value:.0%}<small>[{one.low:.0%}, {one.high:.0%}]</small>"


def _wins(duel: Duel) -> str:
    if duel.wins != duel.wins:
        return "-"
    return f"{duel.wins:.0%}" + (f"<small>{duel.ties:.0%} equal</small>" if duel.ties else "")


def _signed(value: float, digits: int) -> str:
    return "-" if value != value else f"{value:+,.{digits}f}".replace("-", "−")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
