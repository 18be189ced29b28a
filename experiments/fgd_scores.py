"""The scores of FGD's comparison: how each policy ranks the nodes that hold a pod, on arrays of what nodes have left.

The formulas are those of the simulator that goes with Weng et al., USENIX ATC 2023; see `reproduce_fgd`.
"""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..traces.trouble import BadInput

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
POPULAR = 0.95
"""Part of the pods that the typical ones make up, the most frequent first."""
MOST_CPU, MOST_GPU, SLOTS = 128_000.0, 8_000.0, 8
"""Of the largest node: thousandths of a core, thousandths of a GPU, GPUs."""


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
