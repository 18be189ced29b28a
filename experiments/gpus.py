"""`gpuyard gpus`: what NVML shows of this machine's GPUs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Column, Table

from ..executor.emulated import gpus
from ..executor.reading import Process, Reading


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--gpus", "spec", default="auto", show_default=True, help="auto (ask NVML), or emulated:COUNTxKIND.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, with bytes, watts, joules; null is unknown.")
def command(spec: str, as_json: bool) -> None:
    """Show the GPUs that NVML shows: memory, use, power, health.

    What the hardware or its driver cannot tell is shown as "-".

    \b
    Examples:
      gpuyard gpus
      gpuyard gpus --json
      gpuyard gpus --gpus emulated:4xA100
    """
    found = look(spec)
    if as_json:
        click.echo(json.dumps([asdict(reading) for reading in found], indent=2))
    elif not found:
        click.echo("NVML shows no GPU on this machine.")
    else:
        Console(width=None if sys.stdout.isatty() else 120, emoji=False).print(table(found))


def look(spec: str) -> list[Reading]:
    """Returns the readings of the GPUs that `--gpus` names; an emulated one has little to read. Raises BadInput."""
    if spec == "auto":
        from ..executor.nvml import readings

        return readings()
    (node,) = gpus(spec)
    return [
        Reading(index, a.id, f"Emulated {a.kind}", a.kind, memory_total=a.memory, emulated=a.emulated)
        for index, a in enumerate(node.accelerators)
    ]


COLUMNS: dict[str, Callable[[Reading], str]] = {
    "GPU": lambda r: str(r.index),
    "kind": lambda r: r.kind or "-",
    "id": lambda r: short(r.uuid),
    "memory": lambda r: memory(r.memory_used, r.memory_total),
    "busy": lambda r: told(r.gpu_busy, "%", 100),
    "power": lambda r: pair(told(r.watts), told(r.watts_limit), "W"),
    "energy": lambda r: told(r.joules, "kJ", 1e-3),
    "temp": lambda r: told(r.celsius, "°C"),
    "processes": lambda r: many(r.processes),
    "state": lambda r: state(r),  # noqa: PLW0108 (it is defined below)
}


def table(found: list[Reading]) -> Table:
    """Returns one row for each GPU, and one for each of its MIG devices below it."""
    title = "Emulated GPUs: no hardware stands behind them" if any(r.emulated for r in found) else None
    shown = Table(*(Column(name, overflow="fold") for name in COLUMNS), title=title, title_justify="left")
    for reading in found:
        shown.add_row(*(cell(reading) for cell in COLUMNS.values()))
        for part in reading.partitions:
            held = memory(part.memory_used, part.memory_total)
            shown.add_row("", part.kind, short(part.uuid), held, "", "", "", "", many(part.processes), "MIG device")
    return shown


def state(reading: Reading) -> str:
    """Says in a few words whether it can be given to jobs."""
    words = [reading.trouble or ("in MIG mode" if reading.mig else "ok")]
    if reading.ecc_errors:
        words.append(f"{reading.ecc_errors} uncorrected memory errors")
    if reading.emulated:
        words.append("emulated")
    return ", ".join(words)


def short(uuid: str | None) -> str:
    """The beginning of a UUID, which tells GPUs apart on one machine; other names whole."""
    return "-" if uuid is None else uuid[:12] if uuid.startswith(("GPU-", "MIG-")) else uuid


def memory(used: int | None, total: int | None) -> str:
    """Used and total in GiB."""
    return pair(told(used, scale=2**-30, form=".1f"), told(total, scale=2**-30, form=".1f"), "GiB")


def many(processes: tuple[Process, ...] | None) -> str:
    """How many processes."""
    return "-" if processes is None else str(len(processes))


def told(value: float | None, unit: str = "", scale: float = 1.0, form: str = ".0f") -> str:
    """A number with its unit; "-" if it is unknown."""
    return "-" if value is None else f"{value * scale:{form}} {unit}".strip()


def pair(first: str, second: str, unit: str) -> str:
    """Two numbers of one unit; "-" if both are unknown."""
    return "-" if first == second == "-" else f"{first}/{second} {unit}"
