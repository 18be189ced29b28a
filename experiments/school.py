"""What all trainings have in common: the teachers and what they cost, validation, and the policy that is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..envs.rates import OBJECTIVES
from ..policies.learned import Weights, load, of_rule, save, write
from ..policies.teachers import Line, Teacher, teachers
from ..traces.trouble import BadInput
from .lessons import Known, Task, Yard, cost, greedy, player, score
from .names import policy
from .screen import progress, say

if TYPE_CHECKING:
    from .train import Train

LESSON, PRACTICE, ASIDE = 1, 2, 3
"""Seeds of the windows that teachers play, of those of practice, and of weights of validation windows."""

FRONT = 1.05
"""What it may cost in between to have an objective's own line at each end of a front."""


class School:
    """The settings, the windows, the teachers, and the best policy so far, which is kept in the policy's folder.

    Args:
        args: the settings.
        yard: windows to learn from.
        aside: windows to choose a checkpoint by.
        card: provenance for `policy.json`.

    Attributes:
        state: what is kept to go on with, in plain values.
        known: the teachers.
    """

    def __init__(self, args: Train, yard: Yard, aside: Yard, card: Mapping[str, Any]) -> None:
        self.args, self.yard, self.card = args, yard, dict(card)
        self.env = yard.env()
        self.tasks: list[Task] = [
            aside.task(self.env, window, ASIDE, number) for number, window in enumerate(aside.windows(args.validation))
        ]
        self.known: Known = {**teachers(yard.codec), **{name: policy(name) for name in args.teacher}}
        self.state: dict[str, Any] = {
            "steps": 0, "practice": 0, "best": None, "taught": False, "scores": [], "settings": args.same(),
        }  # fmt: skip

    def told(self) -> dict[str, Any]:
        """How it went: validation score (cost over the best teacher's, mean over windows), steps, teacher."""
        return {"score": self.state["best"], "steps": self.state["steps"], "scores": self.state["scores"]} | {
            "teacher": self.state.get("teacher"),
            "teachers": self.state.get("teachers"),
        }

    def measure_teachers(self) -> None:
        """What each teacher costs on the validation windows, over the best one there: the bar, and where to begin."""
        costs = {name: np.zeros(len(self.tasks)) for name in self.known}
        parts = {name: np.zeros((len(self.tasks), len(self.yard.wanted.names))) for name in self.known}
        with progress("teachers measured", len(self.tasks) * len(self.known)) as tell:
            every = product(self.known.items(), enumerate(self.tasks))
            for number, ((name, teacher), (row, task)) in enumerate(every, 1):
                costs[name][row] = cost(self.env, task, player(teacher))[0]
                assert self.env.mix is not None
                parts[name][row] = self.env.mix.paid
                tell(number)
        par = np.maximum(np.min(list(costs.values()), axis=0), 1e-9)
        table = {name: float((paid / par).mean()) for name, paid in costs.items()}
        self.state |= {"par": par.tolist(), "teachers": table, "teacher": min(table, key=table.__getitem__)}
        self.state |= {"corners": self._corners(parts), "costs": {name: paid.tolist() for name, paid in costs.items()}}
        ranked = sorted(table.items(), key=lambda row: row[1])
        say("teachers    " + ", ".join(f"{name} {cost:.3f}" for name, cost in ranked) + " of each window's best cost")

    def _corners(self, parts: Mapping[str, np.ndarray]) -> dict[str, str]:
        """Objective -> the line that pays least for it alone; for none where weights are not drawn."""
        if not self.yard.wanted.drawn:
            return {}
        lines = [name for name, teacher in self.known.items() if isinstance(teacher, Line)]
        best = np.maximum(np.min([parts[name] for name in lines], axis=0), 1e-9)
        over = {name: (parts[name] / best).mean(0) for name in lines}
        wanted = self.yard.wanted.names
        return {goal: min(lines, key=lambda name: over[name][number]) for number, goal in enumerate(wanted)}

    def begin(self, free: bool = False) -> Weights:
        """The linear rule to begin with: that of the best teacher that is one.

        Where weights are drawn, each objective adds a line times its weight.

        Args:
            free: of those alone that no flag keeps from starting what fits: small steps lead away from these.
        """
        row, count = self.yard.codec.row, self.yard.codec.marks
        if corners := self.state["corners"]:
            return self._joined(corners)
        able = {
            name: one
            for name, one in self._lines().items()
            if not free or isinstance(one, Line) or not (one.spares or one.strict)
        }
        rule, waiting = able[min(able, key=self.state["teachers"].__getitem__)].line(row)
        return of_rule(rule, waiting, marks=np.zeros((count, len(row)), np.float32) if count else None)

    def _joined(self, corners: Mapping[str, str]) -> Weights:
        """Each objective's line times its weight; or one line for all, where that is clearly better in between."""
        table, row, lines = self.state["teachers"], self.yard.codec.row, self._lines()
        one = min((name for name in lines if isinstance(lines[name], Line)), key=table.__getitem__)

        def of(chosen: Mapping[str, str]) -> Weights:
            marks = np.zeros((self.yard.codec.marks, len(row)), np.float32)
            for goal, name in chosen.items():
                marks[list(OBJECTIVES).index(goal)] = lines[name].line(row)[0]
            return of_rule(np.zeros(len(row), np.float32), 0.0, marks=marks)

        found = of(corners)
        if (blend := score(self.env, self.tasks, self.state["par"], greedy(found))) > FRONT * table[one]:
            corners, found = dict.fromkeys(corners, one), of(dict.fromkeys(corners, one))
        told = ", ".join(f"{goal} as {name}" for goal, name in corners.items())
        say(f"begins      {told} (each objective's own: {blend:.3f}, one for all: {table[one]:.3f})")
        return found

    def _lines(self) -> dict[str, Teacher | Line]:
        return {name: one for name, one in self.known.items() if isinstance(one, Teacher | Line)}

    def validate(self, weights: Weights, steps: int, when: str) -> float:
        """Scores the greedy policy on the validation windows; keeps it if none was better."""
        now = score(self.env, self.tasks, self.state["par"], greedy(weights))
        self.state["scores"].append([steps, now])
        best = self.state["best"] is None or now < self.state["best"]
        if best:
            self.state["best"] = now
            told = {
                "score": now,
                "steps": steps,
                "windows": len(self.tasks),
                "of": "cost over the best teacher's, per window",
            }
            width = len(weights["row1.bias"])
            card = {**self.card, "network": {"width": width}}
            save(self.args.out, weights, {**card, "teacher": self.state["teacher"], "validation": told})
        say(f"validation  {now:.4f} after {steps:,} steps ({when}){', kept' if best else ''}")
        return now

    def best(self) -> Weights:
        """The weights of the best policy so far."""
        return load(self.args.out).weights

    def keep(self, tensors: bytes) -> None:
        """Writes what is needed to go on: numbers as safetensors, the rest as JSON."""
        folder = self.args.out / "training"
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "state.safetensors", tensors)
        write(folder / "state.json", json.dumps(self.state, indent=1).encode())

    def kept(self) -> tuple[dict[str, Any], bytes] | None:
        """What an earlier training of this folder kept, None for none. Raises BadInput if it was another one's."""
        folder = self.args.out / "training"
        if not (folder / "state.json").exists():
            if (self.args.out / "policy.json").exists():
                say(f"the policy in {self.args.out} is from a training that did not stop cleanly; training begins anew")
            return None
        try:
            state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
            settings, tensors = state["settings"], (folder / "state.safetensors").read_bytes()
        except Exception as error:  # whatever a torn file brings
            raise torn(folder, error) from None
        mine: dict[str, Any] = json.loads(json.dumps(self.args.same()))
        other = next((name for name, value in mine.items() if settings.get(name) != value), None)
        if other is not None:
            raise BadInput(
                f"{self.args.out} holds a training with --{other.replace('_', '-')} {settings.get(other)}; "
                "choose another --out, the same settings, or --from-scratch"
            )
        return state, tensors

    def resume(self, state: dict[str, Any]) -> None:
        """Goes on from what was kept."""
        self.state = state
        say(f"resumed     at {state['steps']:,} steps, best validation {state['best']:.4f}")


def torn(folder: Path, error: Exception) -> BadInput:
    """What to say of a training that cannot be gone on with."""
    return BadInput(f"{folder}: cannot be gone on with ({error}); use --from-scratch")


def spread(values: Sequence[float], best: Sequence[float]) -> float:
    """Half the ratio of means, half the geometric mean of ratios: neither the heaviest windows nor the most decide."""
    mine, bar = np.maximum(values, 1e-12), np.maximum(best, 1e-12)
    return float(0.5 * mine.mean() / bar.mean() + 0.5 * np.exp(np.log(mine / bar).mean()))
