"""What docs/ says is there: laws and policies have true rows, the scenario can be read, pages and pictures exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpuyard.envs.scenario import all_laws, read
from gpuyard.experiments.names import all_policies
from gpuyard.traces.synthetic import generate

DOCS = Path(__file__).parents[1] / "docs"
WORLD = (DOCS / "world.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", all_laws())
def test_every_law_has_its_row(name: str) -> None:
    """A law's row says what happens, its equation and its source."""
    (row,) = (line for line in WORLD.splitlines() if line.startswith(f"| **{name}** `[laws.{name}]` |"))
    assert all(cell.strip() for cell in row.strip("|").split(" | "))
    assert len(row.strip("| ").split(" | ")) == 4


def test_no_row_without_a_law() -> None:
    assert set(re.findall(r"^\| \*\*(\w+)\*\* `\[laws", WORLD, re.MULTILINE)) == set(all_laws())


def test_its_scenario_makes_a_world() -> None:
    (code,) = re.findall(r"```toml\n(.*?)```", WORLD, re.DOTALL)
    found = read(code, "world.md", DOCS)
    assert sorted(found.laws) == ["checkpoints", "clouds"]
    found.world(generate("lab", 20))


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_pages_and_pictures_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


SCHEDULERS = re.findall(r"^\| `(\w+)` \|(.*)\|$", (DOCS / "schedulers.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(("name", "cells"), SCHEDULERS, ids=[name for name, _ in SCHEDULERS])
def test_schedulers_need_what_their_row_says(name: str, cells: str) -> None:
    paper, decides, needs, left_out = (cell.strip() for cell in cells.split("|"))
    assert paper
    assert decides
    assert left_out
    told = frozenset() if needs == "nothing" else frozenset(needs.split(", "))
    assert told == getattr(all_policies()[name], "needs", frozenset())


def test_every_policy_has_its_row() -> None:
    assert sorted(name for name, _ in SCHEDULERS) == sorted(all_policies())
