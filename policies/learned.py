"""A learned policy: a codec's menu scored row by row. Loading and deciding need numpy alone, training needs torch.

A saved policy is a folder: `policy.json` says what it is and how it came about, `weights.safetensors` holds numbers.
Nothing in it is ever unpickled.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..envs import placement as placements
from ..envs.cluster import ClusterView
from ..envs.codec import Observation, Starts
from ..envs.commits import Commits
from ..envs.features import MARKS
from ..envs.full import Full
from ..envs.offers.offer import known
from ..envs.placement import Place
from ..envs.rates import OBJECTIVES
from ..envs.vocabulary import Decision
from ..traces.trouble import BadInput
from .needs import ESTIMATES, NOTHING, Needs

FORMAT = 1
COMPARED = "compared"
"""The part of a card that says how the policy did where it was compared; what it decides does not depend on it."""
MOST = 4096
"""Candidates, or width, of a policy at most."""
Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Floats]
LAYERS = ("row1", "row2", "pool", "join", "logit", "wait", "value1", "value2")


def shapes(width: int, features: int, marks: int = 0) -> dict[str, tuple[int, ...]]:
    """The arrays of a network of this width over so many features, as torch lays linear layers out: (out, in).

    Where the last row shows so many marks, such as the objectives' weights, `marks` has what each adds to the rule,
    times its value.
    """
    w = width
    ins = dict(zip(LAYERS, (features, w, 2 * w + features, 2 * w, w, w, w, w), strict=True))
    outs = dict(zip(LAYERS, (w, w, w, w, 1, 1, w, 1), strict=True))
    found: dict[str, tuple[int, ...]] = {"rule.weight": (1, features)}
    for name in LAYERS:
        found |= {f"{name}.weight": (outs[name], ins[name]), f"{name}.bias": (outs[name],)}
    return found | ({"marks.weight": (marks, features)} if marks else {})


def logits(weights: Weights, observation: Observation) -> npt.NDArray[np.float32]:
    """Scores every row of an observation of shape (k + 1, features): shape (k + 1,), the last for waiting.

    The same arithmetic as `network.Network.forward`; a test holds the two together.
    """
    count = int(observation[:-1, 0].sum())
    rows, whole = observation[:count], observation[-1]
    w = weights
    width = len(w["row1.bias"])
    hidden = np.maximum(rows @ w["row1.weight"].T + w["row1.bias"], 0)
    hidden = np.maximum(hidden @ w["row2.weight"].T + w["row2.bias"], 0)
    pooled = np.zeros(2 * width, np.float32)
    if count:
        pooled[:width], pooled[width:] = hidden.mean(0), hidden.max(0)
    context = np.maximum(w["pool.weight"] @ np.concatenate([pooled, whole]) + w["pool.bias"], 0)
    mine, shared = w["join.weight"][:, :width], w["join.weight"][:, width:]
    joined = np.maximum(hidden @ mine.T + (shared @ context + w["join.bias"]), 0)
    answer = np.full(len(observation), -np.inf, np.float32)
    line = w["rule.weight"][0]
    if (marks := w.get("marks.weight")) is not None:
        line = line + whole[MARKS : MARKS + len(marks)] @ marks
    answer[:count] = (joined @ w["logit.weight"].T + w["logit.bias"])[:, 0] + rows @ line
    answer[-1] = (w["wait.weight"] @ context + w["wait.bias"])[0]
    return answer


def of_rule(rule: Floats, waiting: float, width: int = 1, marks: Floats | None = None) -> dict[str, Floats]:
    """The arrays of a network that is a linear rule alone.

    Args:
        rule: weights of a row's features, shape (features,).
        waiting: the score of waiting.
        width: of the layers, all zero.
        marks: what each mark adds, shape (marks, features), where a codec shows any.
    """
    wanted = shapes(width, len(rule), 0 if marks is None else len(marks))
    found = {name: np.zeros(shape, np.float32) for name, shape in wanted.items()}
    found["rule.weight"], found["wait.bias"] = rule[None].astype(np.float32), np.array([waiting], np.float32)
    if marks is not None:
        found["marks.weight"] = marks.astype(np.float32)
    return found


def codec_of(said: Mapping[str, Any]) -> Starts | Commits | Full:
    """The codec that a card tells of. Raises KeyError, TypeError or ValueError where it cannot be."""
    place, k = _place(said["place"]), said["k"]
    if type(k) is not int or not 1 <= k <= MOST:
        raise ValueError(f"k {k}")
    if said["name"] == "Starts":
        return Starts(k, place, bool(said.get("oldest", False)))
    if said["name"] == "Commits":
        return Commits(k, place, bool(said["backfill"]))
    if said["name"] != "Full":
        raise ValueError(f"codec {said['name']}")
    offers, quantum = tuple(said["offers"]), float(said["quantum"])
    weights = np.array(said["weights"], np.float32)
    if not set(offers) <= set(known()) or not 0 <= quantum < np.inf or weights.shape != (len(OBJECTIVES),):
        raise ValueError(f"offers {offers}, quantum {quantum}, weights {weights}")
    return Full(k, place, offers, quantum, weights)


def told_of(codec: Starts | Commits | Full) -> dict[str, Any]:
    """What a card tells of a codec."""
    told: dict[str, Any] = {"name": type(codec).__name__, "k": codec.k, "place": codec.place.__name__}
    if isinstance(codec, Commits):
        told["backfill"] = codec.backfill
    if isinstance(codec, Starts) and codec.oldest:
        told["oldest"] = True
    if isinstance(codec, Full):
        told |= {"offers": list(codec.offers), "quantum": codec.quantum, "weights": codec.weights.tolist()}
    return told


@dataclass(frozen=True)
class Learned:
    """The policy: takes the best-scored legal row until that is waiting.

    Attributes:
        weights: of the network.
        codec: what it was trained with.
        card: what `policy.json` says: provenance, settings, scores.
        place: its placements.
        needs: what it was trained with.
        tick: seconds between the ticks that a world should give it, None for none.
    """

    weights: Weights = field(repr=False)
    codec: Starts | Commits | Full
    card: Mapping[str, Any] = field(repr=False)
    place: Place = placements.packed
    needs: Needs = NOTHING
    tick: float | None = None

    def __post_init__(self) -> None:
        """The codec proposes this policy's placements."""
        object.__setattr__(self, "codec", replace(self.codec, place=self.place))

    def decide(self, cluster: ClusterView) -> Iterator[Decision]:
        """Yields starts, best first."""
        full = isinstance(self.codec, Full)
        while full or len(cluster.pending):
            menu = self.codec.menu(cluster)
            if menu.forced:
                return
            row = int(np.where(menu.mask, logits(self.weights, menu.observation), -np.inf).argmax())
            if (decisions := menu.choose(row)) is None:
                return
            yield from decisions


def save(folder: Path, weights: Weights, card: Mapping[str, Any]) -> None:
    """Writes a policy's folder; each file appears whole. `card` goes into `policy.json` beside the format."""
    from safetensors.numpy import save as dump

    folder.mkdir(parents=True, exist_ok=True)
    write(
        folder / "weights.safetensors", dump({name: np.ascontiguousarray(w, np.float32) for name, w in weights.items()})
    )
    codec = codec_of(card["codec"])
    head = {"gpuyard_policy": FORMAT, "features": {"row": codec.row, "whole": codec.whole}}
    write(folder / "policy.json", (json.dumps({**head, **card}, indent=1) + "\n").encode())


def write(path: Path, data: bytes) -> None:
    """Writes a file of a policy's folder: it appears whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


def load(folder: Path) -> Learned:
    """Reads a policy's folder. Raises BadInput that says which part is missing, torn or of another make."""
    card = _card(folder / "policy.json")
    try:
        codec, width, tick = codec_of(card["codec"]), int(card["network"]["width"]), card.get("tick")
        if not 1 <= width <= MOST or not (tick is None or 0 < float(tick) < np.inf):
            raise ValueError(f"width {width}, tick {tick}")
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"{folder / 'policy.json'}: says nothing usable of its codec or network ({error}); save it again"
        ) from None
    if card.get("features") != {"row": list(codec.row), "whole": list(codec.whole)}:
        raise BadInput(
            f"{folder / 'policy.json'}: was trained on other features than this gpuyard shows; train it again"
        )
    weights = _weights(folder / "weights.safetensors", shapes(width, len(codec.row), codec.marks))
    needs = ESTIMATES if card.get("needs_estimates", False) else NOTHING
    return Learned(weights, codec, card, codec.place, needs, None if tick is None else float(tick))


def wanting(policy: Learned, weights: Mapping[str, float]) -> Learned:
    """The same policy with other weights of its objectives, which sum to 1 then. Raises BadInput where it has none."""
    shown = policy.card.get("objectives") or ()
    if not isinstance(policy.codec, Full) or len(shown) < 2:
        raise BadInput("this policy was not trained for several objectives; train one with --objective a=1,b=1 --draw")
    if bad := next((name for name, weight in weights.items() if name not in shown or not 0 <= weight < np.inf), None):
        raise BadInput(f"objective '{bad}' with weight {weights[bad]:g}; this policy knows {', '.join(shown)}")
    if not (total := sum(weights.values())):
        raise BadInput("all weights of the objectives are 0; give one above 0")
    row = np.array([weights.get(name, 0.0) / total for name in OBJECTIVES], np.float32)
    return replace(policy, codec=replace(policy.codec, weights=row))


def _place(name: str) -> Place:
    place: Place = vars(placements)[name]
    if name.startswith("_") or getattr(place, "__module__", None) != placements.__name__:
        raise ValueError(f"no placement '{name}'")
    return place


def _card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path}: is missing; a policy's folder holds policy.json and weights.safetensors") from None
    except (ValueError, OSError) as error:
        raise BadInput(f"{path}: cannot be read as JSON ({error}); the file is torn, train or copy it again") from None
    if not isinstance(card, dict) or card.get("gpuyard_policy") != FORMAT:
        raise BadInput(f"{path}: is not a policy of format {FORMAT}; train it again with this gpuyard")
    return card


def _weights(path: Path, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, Floats]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as parse

    try:
        weights: dict[str, Floats] = parse(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(f"{path}: is missing; the policy's folder is not whole, copy it again") from None
    except (SafetensorError, KeyError, ValueError, OSError, struct.error) as error:
        raise BadInput(f"{path}: is torn or no safetensors file ({error}); copy it again") from None
    for name, shape in wanted.items():
        if name not in weights or weights[name].shape != shape:
            raise BadInput(f"{path}: lacks {name} of shape {shape}; the policy's folder is of another make")
        if not np.isfinite(weights[name]).all():
            raise BadInput(f"{path}: {name} holds numbers that are not finite; train it again")
    return {name: weights[name] for name in wanted}
