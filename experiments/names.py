"""What a policy is called at the command line: `fifo`, `easy(sjf)`, `my.module:policy`, or a saved policy's folder.

A policy that was trained for several objectives takes a mixture of them behind its folder: `runs/front@jct=1,carbon=3`.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from .. import policies
from ..envs import placement as placements
from ..envs.placement import Place
from ..envs.session import Policy
from ..policies.governor import changed
from ..traces.source import nearby
from ..traces.trouble import BadInput, nearest, within
from .objectives import wanted

LEARNED = {"learned", "network"}
"""Rooms of the torch: they hold no policies by name, and importing them takes seconds."""

OVER = re.compile(r"(\w+)\((.+)\)")
"""`easy(sjf)`: a policy over another one's order; `burst(easy)`: a governor over another policy."""


def policy(name: str, placement: str | None = None) -> Policy:
    """Finds a policy, and gives it another placement function if one is named.

    Raises BadInput that says what there is instead.
    """
    found = _find(name)
    return found if placement is None else _with(found, name, place=place(placement))


def all_policies() -> dict[str, Policy]:
    """The policies that gpuyard ships, by name: whatever object with a `decide` stands in a module of the policies."""
    found: dict[str, Policy] = {}
    for module in pkgutil.iter_modules(policies.__path__):
        if module.name not in LEARNED:
            held = vars(import_module(f"{policies.__name__}.{module.name}"))
            found |= {n: p for n, p in held.items() if not n.startswith("_") and _decides(p)}
    return dict(sorted(found.items()))


def all_placements() -> dict[str, Place]:
    """The placement functions that gpuyard ships, by name."""
    held = inspect.getmembers(placements, inspect.isfunction)
    return {n: f for n, f in held if f.__module__ == placements.__name__ and not n.startswith("_")}


def place(name: str) -> Place:
    """Finds a placement function. Raises BadInput that says what there is."""
    known = all_placements()
    if name not in known:
        raise BadInput(f"no placement '{name}'.{nearest(name, list(known))}")
    return known[name]


def _find(name: str) -> Policy:
    known = all_policies()
    if name in known:
        return known[name]
    if (Path(name) / "policy.json").is_file():
        return _saved(Path(name))
    folder, at, mixture = name.rpartition("@")
    if at and (Path(folder) / "policy.json").is_file():
        return _turned(Path(folder), mixture)
    if term := OVER.fullmatch(name):
        return _over(*term.groups())
    if ":" in name:
        return _imported(*name.split(":", 1))
    if Path(name).is_dir():
        raise BadInput(f"{name} holds no policy.json; give the folder that a training wrote, or a policy's name")
    raise BadInput(f"no policy '{name}'.{nearest(name, list(known))}")


def _decides(thing: object) -> bool:
    return not isinstance(thing, type) and callable(getattr(thing, "decide", None))


def _saved(folder: Path) -> Policy:
    try:
        found: Policy = import_module("..policies.learned", __package__).load(folder)
    except ModuleNotFoundError as error:
        raise BadInput(f"{folder} is a learned policy and {error.name} is missing; install gpuyard[learn]") from None
    return found


def _turned(folder: Path, mixture: str) -> Policy:
    """A saved policy with other weights of its objectives, as `runs/front@jct=1,carbon=3` says them."""
    found: Any = _saved(folder)
    goals = wanted(mixture, option=f"policy {folder}@")
    with within(f"policy {folder}@{mixture}"):
        turned: Policy = import_module("..policies.learned", __package__).wanting(
            found, dict(zip(goals.names, goals.weights, strict=True))
        )
    return turned


def _over(outer: str, inner: str) -> Policy:
    """`easy(sjf)`: over an order; `zeus(easy)`: over the inner policy itself; `rollout(sjf,saf)`: over several."""
    if hasattr(found := _find(outer), "inner"):
        return _with(found, outer, inner=_find(inner))
    if hasattr(found, "bases"):
        return _with(found, outer, bases=tuple(_find(one) for one in _listed(inner)))
    order = getattr(_find(inner), "score", None)
    if order is None:
        raise BadInput(f"policy '{outer}({inner})': '{inner}' is not an order; choose one such as fifo, sjf or wfp3")
    return _with(found, outer, order=order)


def _listed(text: str) -> list[str]:
    """Names parted by commas, those within brackets left alone."""
    found, depth = [""], 0
    for sign in text:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            found.append("")
        else:
            found[-1] += sign
    return [one.strip() for one in found]


def _with(found: Any, name: str, **change: Any) -> Policy:
    made = changed(found, **change)
    if made is None:
        (field,) = change
        raise BadInput(f"policy '{name}' has no {field} that could be changed")
    return made


def _imported(module: str, attribute: str) -> Policy:
    nearby()
    try:
        held = vars(import_module(module))
    except Exception as error:  # whatever a user's module raises
        raise BadInput(f"policy '{module}:{attribute}': {module} cannot be imported ({error})") from None
    if attribute not in held:
        there = [n for n, p in held.items() if _decides(p)] or ["no policy in it"]
        raise BadInput(f"policy '{module}:{attribute}': {module} has no '{attribute}'.{nearest(attribute, there)}")
    found: Policy = held[attribute]
    if not _decides(found):
        raise BadInput(f"policy '{module}:{attribute}' has no decide(cluster), or is a class; name an object that has")
    return found
