"""`python -m gpuyard.experiments.measure_profiles`: the figures of `envs/profiles.toml` and `envs/tuning.toml`, anew.

Each figure there was read off a published table by the code below; give it the tables, and it prints the figures.
"""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np

from ..envs.profiles import Profiles
from ..envs.throughputs import gavel, pollux
from ..traces.rows import Row, content, read_csv
from ..traces.trouble import BadInput
from .options import command_of, option
from .shell import ended

Figures = dict[str, dict[str, Any]]
"""Table of the file -> key -> what stands there."""

REFERENCE = "V100"
IDLE, LIMIT = 30.0, 250.0
"""Watts of Zeus' V100 when idle, and its highest power limit."""
TALK = 8
"""The gang whose traffic is told."""
CURIOSITY = 0.5
"""Zeus' weight of energy against time, its default."""

TYPES = {
    "resnet": "ResNet-50 (batch size 32)",  # the only batch of ResNet-50 that was measured in every gang and spread
    "transformer": "Transformer (batch size 64)",
    "lm": "LM (batch size 80)",
    "recommendation": "Recommendation (batch size 2048)",
    "cyclegan": "CycleGAN",
    "a3c": "A3C",
}
"""Profile -> the job type of Gavel's table that stands for its family."""

STATES = {
    "resnet": (25_557_032, 8),  # torchvision's ResNet-50; SGD with momentum
    "transformer": (44_140_544, 12),  # six layers each way, 512 wide, without embeddings; Adam
    "lm": (13_987_678, 4),  # two LSTM layers of 200, 33,278 words in and out; plain SGD
    "recommendation": (8_063_508, 12),  # one hidden layer of 200 for MovieLens' 20,108 films; Adam
    "cyclegan": (28_285_832, 12),  # two generators of nine blocks, two discriminators; Adam
    "a3c": (3_249_639, 16),  # four convolutions and an LSTM of 512; Adam with amsgrad
    "speech": (41_187_968, 8),  # two convolutions and five GRU layers of 800 both ways; SGD with momentum
}
"""Profile -> (parameters, bytes saved for each: 4, and 4 for each moment of the optimizer). Counted from the code of
Gavel's workloads, speech from that of Pollux'."""

ZEUS = {
    "resnet": ("imagenet", "resnet50"),
    "transformer": ("squad", "bert_base_uncased"),
    "recommendation": ("movielens-1m", "ncf"),
    "speech": ("librispeech", "deepspeech2"),
}
ZEUS_KINDS = {"A40": "a40", "RTX6000": "rtx6000", "P100": "p100", "V100": "v100"}
SIA = {"resnet": "imagenet", "transformer": "bert", "speech": "deepspeech2"}
LUCID = {
    "resnet": ("ResNet50", "ImageNet", 32),
    "transformer": ("Transformer", "Multi30k", 64),
    "lm": ("LSTM", "Wikitext2", 80),
    "recommendation": ("NeuMF", "MovieLens", 128),  # no larger batch was measured
    "a3c": ("PPO", "LunarLander", 128),  # nor was A3C
}
"""Profile -> (model, dataset, batch size) of Lucid's table."""
LAMBDA = {"resnet": "resnet50", "transformer": "transformerxlbase", "lm": "gnmt"}
LAMBDA_LATER = LAMBDA | {"transformer": "bert_base_squad"}
LAMBDA_KINDS = {
    "V100": "LambdaCloud V100 16GB",
    "A10": "LambdaCloud A10",
    "A100-80GB": "A100 80GB SXM4",
    "H100": "H100 80GB SXM5",
    "RTX3090": "RTX 3090",
    "RTX4090": "RTX 4090",
    "RTX8000": "Quadro RTX 8000",
    "RTXA6000": "RTX A6000",
    "RTX6000Ada": "RTX 6000 Ada",
}
"""Kind -> its row. The A100 of 40 GB has none with SXM4, but its logs are there."""
LAMBDA_BRIDGE = "LambdaOD_1x_Texas_1xH100_80GB_SXM5_192-222-52-129_v2"
"""Later kinds were measured with later software: they are told by way of the H100, which was measured with both."""
LAMBDA_LATER_KINDS = {
    "GH200": "LambdaOD_1x_1xGH200_96GB_192-222-57-0_v2",
    "H200": "LambdaBM_ENG04_1xH200_140GB_SXM_h200_v2",
    "B200": "LambdaOD_test_1xB200_192GB_129-213-83-251_v2",
}
LAMBDA_LOG = re.compile(
    r"compute_ips : (?P<resnet>[\d.]+)"
    r"|Training throughput: (?P<transformer>[\d.]+)"
    r"|^\| +1\|(?:[^|]+\|){2} *(?P<lm>[\d.]+)\|",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Print the figures of the built-in profiles and tunings, read off the tables that they come from."""

    gavel: Path | None = option(None, help="Gavel's simulation_throughputs.json(.gz).")
    zeus: Path | None = option(None, help="Folder with Zeus' summary_power_*.csv(.gz).")
    pollux: Path | None = option(None, help="Pollux' folder simulator/traces; needs --sia, whose T4 it scales by.")
    sia: Path | None = option(None, help="Sia's folder sia-simulator/traces.")
    lucid: Path | None = option(None, help="Lucid's simulation/analyzer/single_data.csv.")
    lambdal: Path | None = option(None, help="Folder pytorch of lambdal/deeplearning-benchmark.")


def run(args: Measure) -> None:
    """Prints what the given tables say, as TOML."""
    figures: Figures = defaultdict(dict)
    for found in _all(args):
        for table, rows in found.items():
            figures[table] |= rows
    for table, rows in sorted(figures.items()):
        click.echo(f"\n[{table}]")
        for key, value in rows.items():
            click.echo(f"{key} = {inline(value)}")


def _all(args: Measure) -> Iterator[Figures]:
    yield {f"profiles.{name}.facts": {"checkpoint": {"code": round(three(n * b))}} for name, (n, b) in STATES.items()}
    if args.gavel is not None:
        table = gavel(args.gavel)
        yield from (of_gavel(table), of_gavel_defaults(table), of_gavel_batches(table))
    if args.zeus is not None:
        yield from (of_zeus(args.zeus), of_zeus_limits(args.zeus))
    if args.sia is not None:
        yield of_sia(args.sia, args.pollux)
    if args.lucid is not None:
        yield of_lucid(args.lucid)
    if args.lambdal is not None:
        yield of_lambda(args.lambdal)


def three(value: float) -> float:
    """Three digits of a number."""
    return float(f"{value:.3g}")


def inline(value: Any) -> str:
    """A value as TOML has it on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {inline(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(inline, value)) + "]"
    return f'"{value}"' if isinstance(value, str) else f"{value:_}" if isinstance(value, int) else f"{value:g}"


# Gavel: rates relative to one V100, parts kept, traffic.


def of_gavel(table: Profiles) -> Figures:
    """Rates by kind, gang and spread relative to one V100, what pairs keep, and traffic."""
    figures: Figures = defaultdict(dict)
    for name, kind_of_job in TYPES.items():
        one = table.of[kind_of_job]
        unit = one.near[REFERENCE].rates[0]
        for where, curves in (("near", one.near), ("spread", one.spread)):
            for kind in (REFERENCE, *(k for k in curves if k != REFERENCE)):
                if kind in curves:
                    points = zip(curves[kind].gangs, curves[kind].rates, strict=True)
                    said = [[gang, three(rate / unit)] for gang, rate in points]
                    figures[f"profiles.{name}.{where}"][kind] = {"gavel": said}
        for kind, row in one.kept.items():
            figures[f"kept.{kind}"][name] = {other: three(row[theirs]) for other, theirs in TYPES.items()}
        if (rate := one.near[REFERENCE].at(TALK)) is not None:
            # A ring sends 2 (n - 1) / n gradients of 4 bytes a step (Patarasuk and Yuan 2009); Gavel's rates add up
            # its workers' steps.
            sent = 2 * (TALK - 1) / TALK * 4 * STATES[name][0] * rate / TALK
            figures[f"profiles.{name}.facts"]["link"] = {"gavel": three(sent)}
    return figures


def of_gavel_defaults(table: Profiles) -> Figures:
    """Medians over all of Gavel's job types on V100, which laws take where nothing was measured."""
    scaling, spread, kept = list[float](), list[float](), list[float]()
    for one in table.of.values():
        near, apart = one.near[REFERENCE], one.spread.get(REFERENCE)
        if (eight := near.at(8)) is not None:
            scaling.append(log(eight / near.rates[0]) / log(8))
        if apart is not None:
            spread += [far / close for gang, far in _points(apart) if (close := near.at(gang)) is not None]
        for other, mine in one.kept[REFERENCE].items():
            theirs = table.of[other].kept[REFERENCE][one.name]
            kept += [(mine + theirs) / 2] if mine and theirs else []
    said = {"scaling": median(scaling), "spread": median(spread), "kept": median(kept)}
    return {"defaults": {key: three(value) for key, value in said.items()}}


def of_gavel_batches(table: Profiles) -> Figures:
    """Profile -> kind -> the batch that is fastest by sample, and its speedup."""
    figures: Figures = defaultdict(dict)
    for name, base in TYPES.items():
        model, _, size = base.rstrip(")").partition(" (batch size ")
        sizes = [int(one.rstrip(")").rpartition(" ")[2]) for one in table.names if one.startswith(f"{model} (batch")]
        for kind in table.of[base].near if size else ():
            rates = {b: table.rate(f"{model} (batch size {b})", kind, 1) for b in sizes}
            said = {b: b * rate for b, rate in rates.items() if rate is not None}
            best = max(said, key=said.__getitem__)
            if best != int(size):
                figures[f"batch.{kind}"][name] = [best, three(said[best] / said[int(size)]), "gavel"]
    return figures


def _points(curve: Any) -> Iterator[tuple[int, float]]:
    return zip(curve.gangs, curve.rates, strict=True)


# Zeus: epochs and draws under power limits.


def of_zeus(folder: Path) -> Figures:
    """Rates relative to a V100, each kind at the batch that is fastest on it without a limit; how busy the V100 is."""
    figures: Figures = defaultdict(dict)
    best = {kind: _fastest(_zeus(folder, file)) for kind, file in ZEUS_KINDS.items()}
    for name, (dataset, network) in ZEUS.items():
        unit, watts = best[REFERENCE][dataset, network]
        figures[f"profiles.{name}.facts"]["busy"] = {"zeus": round(max(watts - IDLE, 0) / (LIMIT - IDLE), 2)}
        told = [REFERENCE, "P100", "A40", "RTX6000"] if name == "speech" else ["A40", "RTX6000"]
        for kind in told if name != "recommendation" else ():
            rate = unit / best[kind][dataset, network][0]
            figures[f"profiles.{name}.near"][kind] = {"zeus": [[1, three(rate)]]}
    return figures


def of_zeus_limits(folder: Path) -> Figures:
    """Kind -> the limit, as a part of the largest, of the least 0.5 energy + 0.5 time x largest limit (Zeus' cost)."""
    return {"limit": {kind: [_limit(_zeus(folder, file)), "zeus"] for kind, file in sorted(ZEUS_KINDS.items())}}


def _limit(rows: list[Row]) -> float:
    largest = max(row.number("power_limit") for row in rows)
    costs: defaultdict[tuple[str, ...], dict[float, float]] = defaultdict(dict)
    for row in rows:
        key = tuple(row.text(column) for column in ("dataset", "network", "batch_size", "optimizer"))
        watts = CURIOSITY * row.number("average_power") + (1 - CURIOSITY) * largest
        costs[key][row.number("power_limit")] = watts * row.number("time_per_epoch")
    ratios: defaultdict[float, list[float]] = defaultdict(list)
    for by_limit in costs.values():
        for limit, cost in by_limit.items():
            ratios[limit].append(cost / by_limit[largest])
    return three(min(ratios, key=lambda limit: median(ratios[limit])) / largest)


def _zeus(folder: Path, kind: str) -> list[Row]:
    columns = ("dataset", "network", "batch_size", "optimizer", "power_limit", "time_per_epoch", "average_power")
    plain = folder / f"summary_power_{kind}.csv"
    return list(read_csv(plain if plain.exists() else Path(f"{plain}.gz"), columns))


def _fastest(rows: list[Row]) -> dict[tuple[str, str], tuple[float, float]]:
    """(dataset, network) -> (seconds an epoch, watts) at the batch that is fastest under the highest limit."""
    largest = max(row.number("power_limit") for row in rows)
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for row in rows:
        key = (row.text("dataset"), row.text("network"))
        said = (row.number("time_per_epoch"), row.number("average_power"))
        if row.number("power_limit") == largest and (key not in found or said < found[key]):
            found[key] = said
    return found


# Sia: the models of Pollux, on T4, V100 and A100.


def of_sia(folder: Path, scaling: Path | None) -> Figures:
    """Rates of one T4, and of an A100 where nobody else measured it, each at its fastest batch, relative to a V100.

    With Pollux' folder, the scaling of speech, relative to its one T4.
    """
    figures: Figures = defaultdict(dict)
    for name, model in SIA.items():
        rate = {kind: _single(folder / model / f"placements-{kind}.csv") for kind in ("azure", "aws", "dgx")}
        figures[f"profiles.{name}.near"]["T4"] = {"sia": [[1, three(rate["aws"] / rate["azure"])]]}
        if name == "speech":
            figures[f"profiles.{name}.near"]["A100"] = {"sia": [[1, three(rate["dgx"] / rate["azure"])]]}
            if scaling is not None:
                _scaled(figures, name, pollux(scaling).of[model], rate["aws"] / rate["azure"])
    return figures


def _scaled(figures: Figures, name: str, one: Any, unit: float) -> None:
    first = one.near["T4"].rates[0]
    for where, curves in (("near", one.near), ("spread", one.spread)):
        said = [[g, three(rate / first * unit)] for g, rate in _points(curves["T4"]) if g & (g - 1) == 0]
        figures[f"profiles.{name}.{where}"]["T4"] = {"pollux": said}


def _single(path: Path) -> float:
    """Samples a second of one accelerator, at its fastest batch."""
    rows = read_csv(path, ("placement", "local_bsz", "step_time"))
    return max(row.number("local_bsz") / row.number("step_time") for row in rows if row.text("placement") == "1")


# Lucid: memory of single jobs.


def of_lucid(path: Path) -> Figures:
    """Bytes used on the accelerator in single precision; between two measured batches on a straight line."""
    figures: Figures = defaultdict(dict)
    used: defaultdict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for row in read_csv(path, ("model", "dataset", "batchsize", "amp", "gmem")):
        if not row.whole("amp"):
            used[row.text("model"), row.text("dataset")][row.whole("batchsize")] = row.number("gmem")
    for name, (model, dataset, batch) in LUCID.items():
        sizes = sorted(used[model, dataset])
        mib = np.interp(batch, sizes, [used[model, dataset][size] for size in sizes])
        figures[f"profiles.{name}.facts"]["memory"] = {"lucid": round(three(float(mib) * 2**20))}
    return figures


# Lambda: three networks on many kinds, at the largest batch that fits, in single (or TF32) and in mixed precision.


def of_lambda(folder: Path) -> Figures:
    """Rates of one accelerator relative to a V100, and the speedup of mixed precision."""
    figures: Figures = defaultdict(dict)
    plain, mixed = (_lambda(folder, precision) for precision in ("fp32", "fp16"))
    for kind, networks in plain.items():
        for name in networks:
            if kind != REFERENCE:
                rate = plain[kind][name] / plain[REFERENCE][name]
                figures[f"profiles.{name}.near"][kind] = {"lambda": [[1, three(rate)]]}
            # V100 and RTX8000 (Volta, Turing) know fp16 alone; on later kinds bf16 is as fast.
            precision = "fp16" if kind in ("V100", "RTX8000") else "bf16"
            figures[f"precision.{kind}"][name] = [precision, three(mixed[kind][name] / plain[kind][name]), "lambda"]
    return figures


def _lambda(folder: Path, precision: str) -> dict[str, dict[str, float]]:
    """Kind -> profile -> samples a second."""
    table, second = (folder / f"pytorch-train-throughput-{part}{precision}.csv" for part in ("", "v2-"))
    rows = {row.text("name_gpu"): row for row in read_csv(table, ("name_gpu",))}
    found = {k: {n: rows[row].number(LAMBDA[n]) for n in LAMBDA} for k, row in LAMBDA_KINDS.items()}
    found["A100"] = {name: _logged(folder, network, precision) for name, network in LAMBDA.items()}
    later = {row.text(""): row for row in read_csv(second, ("",))}
    bridge = later[LAMBDA_BRIDGE]
    for kind, label in LAMBDA_LATER_KINDS.items():
        by = {name: later[label].number(column) / bridge.number(column) for name, column in LAMBDA_LATER.items()}
        found[kind] = {name: found["H100"][name] * by[name] for name in LAMBDA}
    return found


def _logged(folder: Path, network: str, precision: str) -> float:
    """The A100 of 40 GB is in the logs alone."""
    what = "AMP" if network == "resnet50" and precision == "fp16" else precision.upper()
    logs = sorted((folder / "results" / "A100_40GB_SXM4_v1" / f"PyTorch_{network}_{what}").glob("*.txt"))
    if not logs:
        raise BadInput(f"{folder}: has no log of {network} on the A100 of 40 GB; give Lambda's folder pytorch")
    said = [next(filter(None, m.groups())) for m in LAMBDA_LOG.finditer(content(logs[0]).decode("utf-8", "replace"))]
    return float(said[-1])


command = command_of(
    Measure, run, examples="python -m gpuyard.experiments.measure_profiles --gavel TABLE --zeus FOLDER"
)

if __name__ == "__main__":
    ended(command)
