"""What the README says is true: its Python runs, its commands exist, its pictures are there."""

from __future__ import annotations

import re
import shlex
from importlib import import_module
from pathlib import Path

import click
import pytest

from gpuyard.__main__ import COMMANDS, cli
from gpuyard.envs.metrics import summary
from gpuyard.envs.nodes import parse
from gpuyard.envs.session import Session
from gpuyard.envs.sim import SimWorld
from gpuyard.traces.job import Job, Trace

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_its_python_runs() -> None:
    known: dict[str, object] = {}
    for code in blocks("python"):
        exec(compile(code, "README.md", "exec"), known)
    trace = Trace((Job(1, 0.0, 2), Job(2, 0.0, 1)), {1: 5.0, 2: 5.0})
    mine = known["SmallestFirst"]()  # type: ignore[operator]
    assert summary(Session(SimWorld(trace, parse("1x2:A100"))).play(mine)).mean_jct == 7.5


def commands() -> list[list[str]]:
    lines = [line.split("#")[0] for block in blocks("sh") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line)) and words[0] == "gpuyard"]


@pytest.mark.parametrize("words", commands(), ids=lambda words: words[1])
def test_its_commands_take_their_options(words: list[str]) -> None:
    command: click.Command | None = cli
    context, name, rest = click.Context(cli), words[0], words[1:]
    while isinstance(command, click.Group):
        name, rest = rest[0], rest[1:]
        command = command.get_command(context, name)
    assert command is not None
    command.make_context(name, rest, resilient_parsing=False)


def test_its_pictures_and_pages_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    command = import_module(f"gpuyard.{COMMANDS[name][0]}").command
    subcommands = command.commands.values() if isinstance(command, click.Group) else [command]
    for one in subcommands:
        told = one.get_help(click.Context(one, info_name=name))
        assert "Example" in told
        assert f"gpuyard {name}" in told


def test_make_has_what_the_readme_promises() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", "\n".join(re.findall(r"```\n(.*?)```", README, re.DOTALL)), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
