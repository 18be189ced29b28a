"""FGD's published GPU allocation ratios on Alibaba's trace of 2023, repeated: `python -m` this module.

Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX ATC
2023, figures 7 and 9; the figures are the means of the ten seeds in the repository's own expected results. Pods come
one by one in an order that is shuffled by the seed, drawn again until they ask for 130 % of the 6,212 GPUs; none
leaves. A pod that fits nowhere is turned away. Scores are whole numbers from 0 to 100, as Kubernetes has them.

Which of several nodes with the highest score is taken decides more than one would think, as scores are coarse. Drawn
anew for each pod, as that scheduler's own code has it, FGD, packing and clustering come out two to five points below
what was published; taken in the order of the node list, packing and clustering half a point; in an order that is
drawn once a run all are within a fifth of a point, and that is what stands here.

- Random: any node that fits, any GPU that fits.
- DotProd (Tetris): 100 (1 - (cpu pod x node + gpu pod x node) / 2), parts of the largest node; the tightest GPU.
- GpuClustering: nodes that hold pods of the same kind of request alone, then among others, then empty ones.
- GpuPacking: shared GPUs first, then free ones of used nodes, then empty nodes.
- BestFit: the least that is left, half CPUs and half GPUs, stretched to 0..100 over the nodes that fit.
- FGD: 100 sigmoid(fragmentation before - after), see `policies/fgd.py`; typical pods are the 95 % most frequent.

The order and the draws are our own, so single runs differ from the published ones; means of ten should not.
"""

# ruff: noqa: RUF009 (`option` is dataclasses' `field`)

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from rich.text import Text

from ..traces.trouble import BadInput
from .cores import cores
from .options import command_of, option
from .screen import out, print_table, progress

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
POPULAR = 0.95
"""Part of the pods that the typical ones make up, the most frequent first."""
MOST_CPU, MOST_GPU, SLOTS = 128_000.0, 8_000.0, 8
"""Of the largest node: thousandths of a core, thousandths of a GPU, GPUs."""
TUNED, SEEDS = 1.3, tuple(range(42, 52))
PUBLISHED = {
    "Random": (86.30, 87.47),
    "DotProd": (90.62, 90.85),
    "GpuClustering": (91.65, 91.88),
    "GpuPacking": (91.78, 92.00),
    "BestFit": (92.86, 93.08),
    "FGD": (95.23, 95.39),
}
"""Policy -> GPU allocation ratio in per cent when pods have asked for 100 % and for 130 % of the GPUs."""


@dataclass(frozen=True, slots=True)
class Pod:
    """What a pod asks for: thousandths of a core, MiB, GPUs, thousandths of each, kinds it accepts (any if empty)."""

    cpu: int
    memory: int
    count: int
    milli: int
    kinds: tuple[str, ...]

    @property
    def gpu(self) -> int:
        """Thousandths of GPUs in all."""
        return self.count * self.milli


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read ({error}); give openb_pod_list_default.csv and its node list") from None


def pods(path: Path) -> list[Pod]:
    """Reads a pod list. Raises BadInput."""
    try:
        return [
            Pod(
                int(row["cpu_milli"]),
                int(row["memory_mib"]),
                int(row["num_gpu"]),
                int(row["gpu_milli"]) if int(row["num_gpu"]) == 1 else 1000,
                tuple(kind for kind in row["gpu_spec"].split("|") if kind),
            )
            for row in _rows(path)
        ]
    except (KeyError, ValueError) as error:
        raise BadInput(f"{path}: is no pod list of openb ({error!r})") from None


class Cluster:
    """Nodes as arrays: what is left of CPUs, memory and each GPU; GPUs that a node has not are below 0.

    Their order is the list's, or drawn. Raises BadInput for a file that is no node list.
    """

    def __init__(self, path: Path, rng: np.random.Generator | None = None) -> None:
        rows = _rows(path)
        if rng is not None:
            rows = [rows[at] for at in rng.permutation(len(rows)).tolist()]
        try:
            self.kind = [row["model"] for row in rows]
            self.cpu = np.array([float(row["cpu_milli"]) for row in rows])
            self.memory = np.array([float(row["memory_mib"]) for row in rows])
            counts = np.array([int(row["gpu"]) for row in rows])
        except (KeyError, ValueError) as error:
            raise BadInput(f"{path}: is no node list of openb ({error!r})") from None
        self.gpu = np.where(np.arange(SLOTS) < counts[:, None], 1000.0, -1.0)
        self.size = 1000 * int(counts.sum())
        self.version = np.zeros(len(rows), np.int64)
        self.held: list[Counter[str]] = [Counter() for _ in rows]
        self.accepts: dict[tuple[str, ...], Flags] = {}

    @property
    def left(self) -> Floats:
        """What is left of each GPU, 0 for those that a node has not."""
        return np.maximum(self.gpu, 0.0)

    def of_kind(self, kinds: tuple[str, ...]) -> Flags:
        """The nodes whose GPUs a pod accepts."""
        if kinds not in self.accepts:
            self.accepts[kinds] = np.array([not kinds or kind in kinds for kind in self.kind])
        return self.accepts[kinds]

    def able(self, pod: Pod) -> npt.NDArray[np.intp]:
        """The nodes that hold a pod."""
        fits = (self.cpu >= pod.cpu) & (self.memory >= pod.memory)
        if pod.count:
            fits &= self.of_kind(pod.kinds) & ((self.gpu >= pod.milli).sum(1) >= pod.count)
        return np.flatnonzero(fits)

    def put(self, pod: Pod, node: int, gpus: list[int]) -> None:
        """Places a pod."""
        self.cpu[node] -= pod.cpu
        self.memory[node] -= pod.memory
        self.gpu[node, gpus] -= pod.milli
        self.version[node] += 1
        if pod.count:
            self.held[node][request(pod)] += 1


def request(pod: Pod) -> str:
    """The kind of request by which GpuClustering tells pods apart."""
    return "share" if pod.milli < 1000 else str(pod.count)


def tightest(cluster: Cluster, pod: Pod, node: int) -> list[int]:
    """The GPUs that are left the least with."""
    left = cluster.gpu[node]
    able = np.flatnonzero(left >= pod.milli)
    chosen: list[int] = able[np.argsort(left[able], kind="stable")][: pod.count].tolist()
    return chosen


Scores = Callable[[Cluster, Pod, npt.NDArray[np.intp]], Floats]
"""A cluster, a pod and the nodes that hold it -> a whole number from 0 to 100 for each."""


def dot_product(cluster: Cluster, pod: Pod, able: npt.NDArray[np.intp]) -> Floats:
    """DotProd."""
    free = cluster.left[able].sum(1) / MOST_GPU
    told = (cluster.cpu[able] / MOST_CPU * pod.cpu / MOST_CPU + free * pod.gpu / MOST_GPU) / 2
    scores: Floats = np.floor(100 * (1 - told))
    return scores


def best_fit(cluster: Cluster, pod: Pod, able: npt.NDArray[np.intp]) -> Floats:
    """BestFit."""
    free = cluster.left[able].sum(1)
    told = ((cluster.cpu[able] - pod.cpu) / MOST_CPU + (free - pod.gpu) / MOST_GPU) / 2
    scores = np.floor(100 * (1 - told))
    low, high = scores.min(), scores.max()
    return np.zeros(len(able)) if low == high else np.floor((scores - low) * 100 / (high - low))


def clustering(cluster: Cluster, pod: Pod, able: npt.NDArray[np.intp]) -> Floats:
    """GpuClustering."""
    if not pod.count:
        return np.zeros(len(able))
    mine = request(pod)
    base = []
    for node in able.tolist():
        held = cluster.held[node]
        base.append((75 if len(held) == 1 else 50) if held[mine] else (25 if not held else 0))
    used = MOST_GPU - cluster.left[able].sum(1)
    scores: Floats = np.floor(25 * used / MOST_GPU) + np.array(base)
    return scores


def packing(cluster: Cluster, pod: Pod, able: npt.NDArray[np.intp]) -> Floats:
    """GpuPacking."""
    if not pod.count:
        return np.zeros(len(able))
    gpu = cluster.gpu[able]
    have, free = (gpu >= 0).sum(1), (gpu == 1000).sum(1)
    tight = np.sort(np.where(gpu >= pod.milli, gpu, np.inf), axis=1)[:, : pod.count]
    fresh = (tight == 1000).sum(1)
    shared = np.maximum(100 - np.floor(np.floor(np.where(tight < np.inf, tight, 0).sum(1) / 10) / 10), 50)
    scores = np.where(fresh > 0, np.maximum(50 - fresh, 33), shared)
    whole: Floats = np.where(free == have, np.maximum(33 - free, free), scores)
    return whole


class Fragmentation:
    """FGD's scores, kept by class of pods until a node changes."""

    def __init__(self, cluster: Cluster, those: list[Pod]) -> None:
        counts = Counter(Pod(pod.cpu, 0, pod.count, pod.milli, pod.kinds) for pod in those)
        ranked, total, wanted = counts.most_common(), 0, POPULAR * len(those)
        typical: list[tuple[Pod, int]] = []
        for pod, count in ranked:
            if total >= wanted:
                break
            typical.append((pod, count))
            total += count
        self.weights = np.array([count / total for _, count in typical])
        self.cpu = np.array([float(pod.cpu) for pod, _ in typical])
        self.milli = np.array([float(pod.milli) for pod, _ in typical])
        self.count = np.array([pod.count for pod, _ in typical])
        self.access = np.stack([cluster.of_kind(pod.kinds) for pod, _ in typical], 1)
        self.known: dict[Pod, tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]] = {}

    def of(self, cpu: Floats, gpu: Floats, access: Flags) -> Floats:
        """F_n(M) of states: CPUs (n,), GPUs (n, 8) and which typical pods accept the kind (n, typical)."""
        left = np.maximum(gpu, 0.0)
        enough = gpu[:, None, :] >= self.milli[None, :, None]
        hosts = (enough.sum(2) >= self.count) & (self.count > 0) & (cpu[:, None] >= self.cpu) & access
        small = np.where(enough, 0.0, left[:, None, :]).sum(2)
        told: Floats = np.where(hosts, small, left.sum(1)[:, None]) @ self.weights
        return told

    def scores(self, cluster: Cluster, pod: Pod) -> tuple[Floats, npt.NDArray[np.int64]]:
        """The score of each node, and the GPU that has it for shares; true for nodes that hold the pod."""
        count = len(cluster.cpu)
        if pod not in self.known:
            self.known[pod] = np.zeros(count), np.zeros(count, np.int64), np.full(count, -1, np.int64)
        scores, chosen, seen = self.known[pod]
        stale = np.flatnonzero(seen != cluster.version)
        if len(stale):
            scores[stale], chosen[stale] = self._score(cluster, pod, stale)
            seen[stale] = cluster.version[stale]
        return scores, chosen

    def _score(self, cluster: Cluster, pod: Pod, those: npt.NDArray[np.intp]) -> tuple[Floats, npt.NDArray[np.int64]]:
        cpu, gpu, access = cluster.cpu[those], cluster.gpu[those], self.access[those]
        before, after = self.of(cpu, gpu, access), np.full((len(those), SLOTS), np.inf)
        if pod.count == 1 and pod.milli < 1000:
            rows, slots = np.nonzero(gpu >= pod.milli)
            trial = gpu[rows].copy()
            trial[np.arange(len(rows)), slots] -= pod.milli
            after[rows, slots] = self.of(cpu[rows] - pod.cpu, trial, access[rows])
        else:
            whole = gpu >= pod.milli
            taken = whole & (whole.cumsum(1) <= pod.count)
            trial = np.where(taken, gpu - pod.milli, gpu) if pod.count else gpu
            after[:, 0] = self.of(cpu - pod.cpu, trial, access)
        told = np.floor(100 / (1 + np.exp(-np.clip((before[:, None] - after) / 1000, -500, 500))))
        told[~np.isfinite(after)] = -1.0
        best = told.argmax(1)
        return told[np.arange(len(those)), best], best


RULES: dict[str, Scores] = {
    "DotProd": dot_product,
    "GpuClustering": clustering,
    "GpuPacking": packing,
    "BestFit": best_fit,
}


def sample(those: list[Pod], size: int, rng: np.random.Generator) -> list[Pod]:
    """The pods in a random order, more of them drawn until they ask for `TUNED` times the GPUs."""
    chosen, asked = [*those], sum(pod.gpu for pod in those)
    while asked < TUNED * size:
        chosen.append(those[int(rng.integers(len(those)))])
        asked += chosen[-1].gpu
    while asked > TUNED * size:
        asked -= chosen.pop(int(rng.integers(len(chosen)))).gpu
    order: list[int] = rng.permutation(len(chosen)).tolist()
    return [chosen[at] for at in order]


def play(pod_list: Path, node_list: Path, name: str, seed: int) -> tuple[float, float]:
    """GPU allocation ratios in per cent when pods have asked for 100 % and for 130 % of the GPUs."""
    those, rng = pods(pod_list), np.random.default_rng(seed)
    cluster = Cluster(node_list, rng)
    line = sample(those, cluster.size, rng)
    frag = Fragmentation(cluster, line) if name == "FGD" else None
    asked = allocated = 0
    at_full: float | None = None
    for pod in line:
        asked += pod.gpu
        able = cluster.able(pod)
        if len(able):
            node, gpus = _choose(cluster, pod, able, name, frag, rng)
            cluster.put(pod, node, gpus)
            allocated += pod.gpu
        if at_full is None and asked >= cluster.size:
            at_full = 100 * allocated / cluster.size
    whole = 100 * allocated / cluster.size
    return whole if at_full is None else at_full, whole


def _choose(
    cluster: Cluster,
    pod: Pod,
    able: npt.NDArray[np.intp],
    name: str,
    frag: Fragmentation | None,
    rng: np.random.Generator,
) -> tuple[int, list[int]]:
    """A node and GPUs of it."""
    if frag is not None:
        scores, chosen = frag.scores(cluster, Pod(pod.cpu, 0, pod.count, pod.milli, pod.kinds))
        node = int(able[scores[able].argmax()])
        share = pod.count == 1 and pod.milli < 1000
        return node, [int(chosen[node])] if share else tightest(cluster, pod, node)
    if name == "Random":
        node = int(rng.choice(able))
        fit = np.flatnonzero(cluster.gpu[node] >= pod.milli)
        return node, rng.permutation(fit)[: pod.count].tolist()
    scores = RULES[name](cluster, pod, able)
    node = int(able[scores.argmax()])
    return node, tightest(cluster, pod, node)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduce:
    """Repeat FGD's GPU allocation ratios on OpenB: six policies, ten seeds, no pod ever leaves."""

    pods: Path = option(help="openb_pod_list_default.csv, plain or gzipped.", metavar="FILE")
    nodes: Path = option(help="openb_node_list_gpu_node.csv.", metavar="FILE")
    seeds: int = option(len(SEEDS), help="How many seeds, from 42 on.")
    workers: int | None = option(None, help="Processes; as many as there are cores by default.")
    json: bool = option(False, help="One JSON object on stdout.")


def reproduce(args: Reproduce) -> dict[str, Floats]:
    """Policy -> ratios of shape (seeds, 2). Raises BadInput for files that are no such lists."""
    pods(args.pods), Cluster(args.nodes)
    work = [(name, seed) for seed in range(SEEDS[0], SEEDS[0] + args.seeds) for name in reversed(PUBLISHED)]
    found: dict[str, dict[int, tuple[float, float]]] = {name: {} for name in PUBLISHED}
    pool = ProcessPoolExecutor(args.workers or cores(), get_context("spawn"))
    with pool, progress("seeds", len(work)) as tell:
        futures = {pool.submit(partial(play, args.pods, args.nodes), name, seed): (name, seed) for name, seed in work}
        for count, future in enumerate(as_completed(futures), 1):
            name, seed = futures[future]
            found[name][seed] = future.result()
            tell(count)
    return {name: np.array([rows[seed] for seed in sorted(rows)]) for name, rows in found.items()}


def run(args: Reproduce) -> int:
    """Prints the table. 1 if a mean is more than half a point off."""
    found = reproduce(args)
    rows = [
        {
            "policy": name,
            "published": PUBLISHED[name],
            "here": values.mean(0).tolist(),
            "deviation": values.std(0).tolist(),
            "off": (values.mean(0) - PUBLISHED[name]).tolist(),
        }
        for name, values in found.items()
    ]
    if args.json:
        click.echo(json.dumps(rows, indent=1))
    else:
        columns: dict[str, Callable[[dict[str, object]], Text]] = {"policy": lambda row: Text(str(row["policy"]))}
        for at, load in enumerate(("100 %", "130 %")):
            columns |= {f"{key}, {load}": partial(_cell, key, at) for key in ("published", "here", "off")}
        print_table(out(), columns, rows)
    return int(_far(found))


def _far(found: dict[str, Floats]) -> bool:
    return any(bool((np.abs(values.mean(0) - PUBLISHED[name]) > 0.5).any()) for name, values in found.items())


def _cell(key: str, at: int, row: dict[str, list[float]]) -> Text:
    return Text(f"{row[key][at]:+.2f}" if key == "off" else f"{row[key][at]:.2f}")


command = command_of(
    Reproduce,
    run,
    examples="""
    python -m gpuyard.experiments.reproduce_fgd --pods openb_pod_list_default.csv --nodes openb_node_list_gpu_node.csv
    """,
)


if __name__ == "__main__":
    sys.exit(command(standalone_mode=True))
