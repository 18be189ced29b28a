"""The command line: `gpuyard` or `python -m gpuyard`. Each command is imported only when it is asked for."""

from __future__ import annotations

from importlib import import_module

import click

from . import __version__
from .experiments.shell import ended
from .traces.trouble import BadInput, nearest

COMMANDS = {
    "simulate": ("experiments.simulate", "Run policies over a trace in the simulator and tell how they did."),
    "train": ("experiments.train", "Train a policy on a trace; interrupt and resume as you like."),
    "compare": ("experiments.compare", "Compare policies on held-out windows, with intervals, table and report."),
    "run": ("experiments.run", "Place real commands on this machine's GPUs, by a policy, until all are done."),
    "show": ("experiments.show", "Show a session's log: who stood where, the queue, what was in use, and all metrics."),
    "gpus": ("experiments.gpus", "Show the GPUs that NVML shows."),
    "traces": ("traces.command", "List, fetch, describe, convert and generate traces."),
    "scenario": ("experiments.scenario", "List, check and show scenarios: whole worlds, each in a file."),
    "benchmark": ("experiments.benchmark", "Measure gpuyard's speed as ratios taken in one run."),
    "quickstart": ("experiments.quickstart", "The whole way once: train, compare, place real processes."),
}


class Lazy(click.Group):
    """A group whose commands' modules are imported when they are called, not to list their names."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, which each module keeps as `command`."""
        if cmd_name not in COMMANDS:
            raise BadInput(f"no command '{cmd_name}'.{nearest(cmd_name, list(COMMANDS))}")
        found: click.Command = import_module(f".{COMMANDS[cmd_name][0]}", __package__).command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="gpuyard")
def cli() -> None:
    """Learn to schedule GPU clusters in simulation, then let the very same policy place real jobs.

    \b
    Examples:
      gpuyard simulate --trace synthetic:lab,jobs=2000 --cluster 1x8:A100 --policy fifo --policy las
      gpuyard train --trace philly:philly.csv.gz --cluster 60x8:V100 --estimates noisy:0.8 --out runs/mine
      gpuyard run --policy runs/mine --gpus auto jobs.toml
    """


def main() -> None:
    """Runs the command line."""
    ended(cli)


if __name__ == "__main__":
    main()
