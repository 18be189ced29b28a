"""The report: one page that needs nothing beside it, shows losses as plainly as wins, and trusts no user's text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from gpuyard.envs.scenario import of_cluster
from gpuyard.experiments.contest import Contest, Outcome
from gpuyard.experiments.figures import profiles, ratios, short, spreads, svg
from gpuyard.experiments.report import lead, page
from gpuyard.experiments.standing import METRICS, Standing, standings
from gpuyard.traces.job import Job, Trace

WINDOWS = 8
NASTY = '<script>alert("x")</script>'


def found(*factors: float, names: tuple[str, ...] = ("fifo", "sjf", NASTY)) -> list[Standing]:
    """Standings of policies whose scores are so many times the first one's, give or take a little."""
    rng = np.random.default_rng(0)
    base = rng.lognormal(2, 0.5, WINDOWS)
    known = {
        (name, window): _outcome(name, window, float(base[window] * factor * rng.uniform(0.97, 1.03)))
        for name, factor in zip(names, (1.0, *factors), strict=True)
        for window in range(WINDOWS)
    }
    return standings(known, names, WINDOWS, names[0], 0)


def _outcome(name: str, window: int, score: float) -> Outcome:
    return Outcome(name, window, 0, 4, 0, score, 100 * score, 60 * score, 900 * score, 1.0, 1.0, 0.5, 0, 4, 0.1, "")


def document() -> dict[str, Any]:
    provenance = {
        "command": f"gpuyard compare --policy '{NASTY}'",
        "trace": f"a trace & {NASTY}",
        "cluster": "1x2:V100",
        "scenario": "campus",
        "laws": ["power", "speed"],
        "windows_sha256": "0" * 64,
        "split": {"part": "test", "jobs": 9, "from": None, "to": None, "from_second": 0.0, "to_second": 9.0},
    }
    return {
        "estimates": "exact (oracle: true run times)",
        "warnings": [f"{NASTY} left 3 scored jobs unfinished"],
        "windows": WINDOWS,
        "jobs": 4,
        "warmup": 0,
        "load": 1.0,
        "offered_load": 0.9,
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
    return page(document(), found(0.5, 1.0), "fifo", ("fifo", "sjf"), contest())


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
    assert heads == ["Scores", "Differences", "Figures", "By gang", "How it was measured", "Provenance"]
    tags = Outline(made).tags
    assert tags.count("svg") == 3
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
    assert made.count("data:image/png;base64,") == 2
    both = page(document(), found(1.0, 3.0), "fifo", ("fifo", "sjf"), contest())
    assert "in which fifo wins by most against sjf" in both
    assert both.count("data:image/png;base64,") == 4


def test_figures_name_their_axes_and_all_policies() -> None:
    standing = found(0.5, 1.2)
    panels = ratios(standing, "fifo").axes
    assert [axes.get_title() for axes in panels] == [name for name, _ in METRICS.values()]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["sjf", NASTY]
    assert "left is better" in spreads(standing).axes[0].get_xlabel()
    (axes,) = profiles(standing).axes
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["fifo", "sjf", NASTY]


def test_figures_are_equal_for_equal_scores_and_stand_in_degenerate_cases() -> None:
    assert svg(spreads(found(0.5, 1.0))) == svg(spreads(found(0.5, 1.0)))
    known = {(name, window): _outcome(name, window, 1.0) for name in "ab" for window in range(WINDOWS)}
    same = standings(known, ("a", "b"), WINDOWS, "a", 0)
    for figure in (ratios(same, "a"), spreads(same), profiles(same)):
        assert svg(figure).startswith("<svg")


def test_a_long_name_keeps_its_end() -> None:
    assert short("fifo") == "fifo"
    assert short("runs/a/very/long/path/of/folders/seed-0") == "…long/path/of/folders/seed-0"
    assert len(short("x" * 99)) == 28
