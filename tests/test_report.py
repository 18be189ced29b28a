"""The report: one page that needs nothing beside it, shows losses as plainly as wins, and trusts no user's text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from gpuyard.envs.scenario import of_cluster
from gpuyard.experiments import curves
from gpuyard.experiments.comparison import Comparison
from gpuyard.experiments.contest import Contest, Key, Outcome
from gpuyard.experiments.entrants import BOUND, Entrant
from gpuyard.experiments.figures import MANY, profiles, ratios, short, spreads, svg
from gpuyard.experiments.headroom import headroom
from gpuyard.experiments.intervals import resamples
from gpuyard.experiments.report import page
from gpuyard.experiments.scores import METRICS, SHORT
from gpuyard.experiments.sections import lead
from gpuyard.experiments.standing import Standing, at, standings
from gpuyard.traces.job import Job, Trace

WINDOWS = 8
SRTF = "oracle(srtf)"
NASTY = '<script>alert("x")</script>'


def found(
    *factors: float, names: tuple[str, ...] = ("fifo", "sjf", NASTY), loads: tuple[float, ...] = (1.0,), **more: Any
) -> list[Standing]:
    """Standings of policies whose scores are so many times the first one's, give or take a little."""
    rng = np.random.default_rng(0)
    base = rng.lognormal(2, 0.5, WINDOWS)
    known = {
        (name, load, window): _outcome(name, load, window, float(base[window] * factor * rng.uniform(0.97, 1.03)), more)
        for load in loads
        for name, factor in zip(names, (1.0, *factors), strict=True)
        for window in range(WINDOWS)
    }
    return stood(known, names, WINDOWS, loads)


def stood(
    known: dict[Key, Outcome], names: Sequence[str], windows: int, loads: Sequence[float] = (1.0,)
) -> list[Standing]:
    return standings(known, [Entrant(name, (name,)) for name in names], resamples(windows, 0), names[0], loads)


def _outcome(name: str, load: float, window: int, score: float, more: dict[str, Any]) -> Outcome:
    groups = {"gang": {"1": [2, 200 * score, 2 * score], "2-4": [2, 100 * score, score]}, "tenant": {NASTY: [4, 1, 1]}}
    said: dict[str, Any] = {f"{which}_jct": 100 * score for which in ("mean", "median", "p95", "p99")}
    said |= (
        {"p99_bounded_slowdown": 9 * score}
        | {name: value * score for name, value in more.items()}
        | {"groups": json.dumps(groups)}
    )
    return Outcome(name, load, window, 0, 4, mean_bounded_slowdown=score, max_wait=1.0, wall_seconds=0.1, **said)


def done(standings: list[Standing], rules: tuple[str, ...] = ("fifo", "sjf")) -> Comparison:
    loads = tuple(dict.fromkeys(one.load for one in standings))
    gain = list(headroom(standings, rules, loads, resamples(WINDOWS, 0)))
    return Comparison(standings, "fifo", rules, contest(), {}, gain, document())


def document() -> dict[str, Any]:
    provenance = {
        "command": f"gpuyard compare --policy '{NASTY}'",
        "trace": f"a trace & {NASTY}",
        "cluster": "1x2:V100",
        "scenario": "campus",
        "laws": ["power", "speed"],
        "windows_sha256": "0" * 64,
        "split": {
            "part": "test",
            "jobs": 9,
            "from": None,
            "to": None,
            "from_second": 0.0,
            "to_second": 9.0,
            "fractions": [0.6, 0.1, 0.3],
            "gap_seconds": 3600.0,
        },
    }
    return {
        "estimates": "exact (oracle: true run times)",
        "warnings": [f"{NASTY} left 3 scored jobs unfinished"],
        "windows": WINDOWS,
        "jobs": 4,
        "warmup": 0,
        "by_load": [{"load": 1.0, "offered_load": 0.9}],
        "restart_cost": 30.0,
        "restarts": "a restart costs 30 s",
        "provenance": provenance,
    }


def contest() -> Contest:
    jobs = tuple(Job(number, 5.0 * number, 1 + number % 2, estimate=9.0) for number in range(12))
    window = Trace(jobs, dict.fromkeys(range(12), 9.0))
    return Contest((window,) * WINDOWS, 0, of_cluster("1x2:V100", 0.0), None)


@pytest.fixture(scope="module")
def made() -> str:
    return page(done(found(0.5, 1.0)))


class Outline(HTMLParser):
    """The tags of a page, and whatever its attributes point to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data", "action")]


def test_nothing_is_fetched_from_anywhere(made: str) -> None:
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in Outline(made).links)
    assert set(re.findall(r"https?://[^\s\"'<>]+", made)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }, "names of XML's vocabularies, which nobody opens"
    assert "@import" not in made
    assert "url(http" not in made


def test_what_a_user_wrote_is_text(made: str) -> None:
    assert NASTY not in made
    assert "&lt;script&gt;" in made
    assert "script" not in Outline(made).tags


def test_tables_come_before_figures_and_provenance_last(made: str) -> None:
    heads = re.findall(r"<h2>(.*?)</h2>", made)
    tables = ["Scores", "Differences", "Use, costs and fairness", "By size of gang"]
    assert heads == [*tables, "Figures", "How it was measured", "Provenance"]
    tags = Outline(made).tags
    assert tags.count("svg") == 5
    assert made.index("<table>") < made.index("<svg")


def test_an_oracle_is_called_one(made: str) -> None:
    assert made.count("exact (oracle: true run times)") >= 2


def test_wins_and_losses_are_said_alike() -> None:
    told = lead(found(0.5, 1.0, 2.0, names=("fifo", "good", "same", "bad")), "fifo")
    assert '<span class="win">better</span>: good' in told
    assert '<span class="tie">no difference shown</span>: same' in told
    assert '<span class="loss">worse</span>: bad' in told


def test_windows_that_the_reference_won_and_lost_most_are_drawn(made: str) -> None:
    assert "in which fifo loses by most against sjf" in made
    assert made.count('alt="occupancy under') == 2
    both = page(done(found(1.0, 3.0)))
    assert "in which fifo wins by most against sjf" in both
    assert both.count('alt="occupancy under') == 4


def test_figures_name_their_axes_and_all_policies() -> None:
    standing = found(0.5, 1.2)
    panels = ratios(standing, "fifo").axes
    assert [axes.get_title() for axes in panels] == [METRICS[name].words for name in SHORT]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["sjf", NASTY]
    assert "left is better" in spreads(standing).axes[0].get_xlabel()
    (axes,) = profiles(standing).axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["fifo", "sjf", NASTY]


def test_figures_are_equal_for_equal_scores_and_stand_in_degenerate_cases() -> None:
    assert svg(spreads(found(0.5, 1.0))) == svg(spreads(found(0.5, 1.0)))
    known = {(name, 1.0, window): _outcome(name, 1.0, window, 1.0, {}) for name in "ab" for window in range(WINDOWS)}
    same = stood(known, "ab", WINDOWS)
    for figure in (ratios(same, "a"), spreads(same), profiles(same)):
        assert svg(figure).startswith("<svg")


def test_a_long_name_keeps_its_end() -> None:
    assert short("fifo") == "fifo"
    assert short("runs/a/very/long/path/of/folders/seed-0") == "…long/path/of/folders/seed-0"
    assert len(short("x" * 99)) == 28


def test_oracles_are_out_of_competition_and_are_called_so() -> None:
    standing = found(1.5, 0.5, 0.4, names=("fifo", "sjf", SRTF, BOUND))
    text = page(done(standing))
    assert "3 policies" not in text
    assert "2 policies" in text
    told = lead(standing, "fifo")
    assert "oracle" not in told
    assert text.count('<tr class="oracle">') >= 4
    assert "the best rule is fifo" in text
    assert "times oracle(srtf) (told true run times)" in text
    assert "times oracle(bound) (no schedule can be below)" in text
    assert text.index("no schedule can be below") < text.index("<h2>Differences</h2>"), "beside the scores"
    legend = profiles(standing).axes[0].get_legend()
    assert legend is not None
    assert [label.get_text() for label in legend.get_texts()] == ["fifo", "sjf"]
    assert {one.duels["mean_jct"].verdict for one in standing if one.oracle} == {"oracle"}
    alone = found(1.5, names=("fifo", "sjf"))[1].duels["mean_jct"]
    assert standing[1].duels["mean_jct"].corrected == alone.corrected, "oracles are no rivals to correct for"


def test_several_loads_have_a_table_and_a_figure_each() -> None:
    standing = found(0.5, 2.0, loads=(0.6, 1.0))
    text = page(done(standing))
    assert text.count("<h3>Load 0.6</h3>") == text.count("<h3>Load 1</h3>") == 4
    assert "<h2>By load</h2>" in text
    assert "mean JCT s, load 0.6" in text
    left, right = curves.loads(standing).axes
    assert [line.get_xdata().tolist() for line in left.lines] == [[0.6, 1.0]] * 3  # type: ignore[union-attr]
    assert [axes.get_title() for axes in (left, right)] == ["mean bounded slowdown", "mean JCT s"]
    assert len(at(standing, 0.6)) == 3


def test_what_it_costs_is_shown_where_it_is_known() -> None:
    standing = found(0.5, 2.0, energy_kwh=3.0)
    text = page(done(standing))
    assert "energy kWh" in text
    assert "money USD" not in text
    assert "Pareto front" in text
    assert curves.traded(standing) == ["p99_bounded_slowdown", "energy_kwh"]
    assert curves.traded(found(0.5, 2.0)) == ["p99_bounded_slowdown"]


def test_the_front_by_hand() -> None:
    points = np.array([[1.0, 4.0], [2.0, 2.0], [2.0, 3.0], [4.0, 1.0], [4.0, 1.0], [np.inf, np.inf]])
    assert curves.front(points).tolist() == [True, True, False, True, True, False]


def test_whom_each_policy_served_is_a_figure() -> None:
    axes = curves.served(found(0.5, 2.0), "gang", "fifo").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2-4"]
    assert [text.get_text()[:3] for text in axes.texts] == ["0.5", "0.5", "2.0", "2.0"] or len(axes.texts) == 4


def test_a_thousand_windows_make_no_page_of_many_megabytes() -> None:
    rng = np.random.default_rng(0)
    known = {
        (name, 1.0, window): _outcome(name, 1.0, window, float(rng.lognormal()), {})
        for name in "ab"
        for window in range(MANY)
    }
    drawn = svg(spreads(stood(known, "ab", MANY)))
    assert len(drawn) < 300_000


def test_the_split_is_said(made: str) -> None:
    assert "60%, 10%, 30% of its jobs to train, to choose and to test by, with 3600 s after each cut" in made
    whole = document()
    whole["provenance"]["split"]["part"] = "all"
    assert "of the whole trace" in page(replace(done(found(0.5, 1.0)), document=whole))
