"""The training itself: teachers, imitation, MaskablePPO, validation, and what is kept to go on with."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as dump_tensors
from sb3_contrib import MaskablePPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

from ..envs.vector import Batch, Par
from ..policies.learned import load, save, write
from ..policies.network import BatchVecEnv, MenuPolicy, imitate, join
from ..policies.teachers import TEACHERS
from ..traces.job import Trace
from ..traces.trouble import BadInput
from .lessons import Yard, best_teacher, greedy, play, score
from .screen import progress, say

if TYPE_CHECKING:
    from .train import Train

LESSON, PRACTICE = 1, 2
"""Seeds of the windows that teachers play, and of those that PPO plays."""


class Trainer:
    """One training, from its first lesson or from where an earlier one stopped.

    Args:
        args: the settings.
        yard: windows to learn from.
        aside: windows to choose a checkpoint by.
        card: provenance for `policy.json`.
    """

    def __init__(self, args: Train, yard: Yard, aside: Yard, card: Mapping[str, Any]) -> None:
        torch.set_num_threads(1)  # the network is small: a second thread costs more than it brings
        self.args, self.yard, self.card = args, yard, dict(card)
        self.env = yard.env()
        self.windows = aside.windows(args.validation)
        self.state: dict[str, Any] = {
            "steps": 0,
            "practice": 0,
            "best": None,
            "taught": False,
            "scores": [],
            "settings": args.same(),
        }
        self.played, self.base = [0] * args.envs, 0
        self._windows = lru_cache(4 * args.envs)(self._window)
        self.model = self._model()
        self.policy = cast(MenuPolicy, self.model.policy)

    def train(self) -> bool:
        """Trains to the end; False if it was interrupted, with everything kept to go on."""
        fresh = self.args.restart or not self._resume()
        try:
            if fresh:
                self._learn_from_teachers()
            self._practise()
        except KeyboardInterrupt:
            self._keep()
            return False
        self._keep()
        return True

    def told(self) -> dict[str, Any]:
        """How it went: validation score (cost over the best teacher's, mean over windows), steps, teacher."""
        return {"score": self.state["best"], "steps": self.state["steps"], "scores": self.state["scores"]} | {
            "teacher": self.state.get("teacher"),
            "teachers": self.state.get("teachers"),
        }

    def _model(self) -> MaskablePPO:
        args = self.args
        batch = Batch([self.yard.env() for _ in range(args.envs)], self._next_window)
        return MaskablePPO(
            MenuPolicy,
            BatchVecEnv(batch),
            learning_rate=lambda left: args.rate * (0.1 + 0.9 * left),
            n_steps=args.rollout,
            batch_size=args.batch,
            n_epochs=args.epochs,
            gamma=1.0,
            gae_lambda=0.97,
            ent_coef=args.entropy,
            target_kl=0.03,
            policy_kwargs={"width": args.width},
            seed=args.seed,
            device="cpu",
        )

    def _next_window(self, env: int) -> tuple[Trace, Par]:
        """The same windows, in the same order, for all replicas of a group; par is the teacher's play."""
        number, self.played[env] = self.base + self.played[env], self.played[env] + 1
        return self._windows(number, env // self.args.replicas)

    def _window(self, number: int, group: int) -> tuple[Trace, Par]:
        window = self.yard.window(self.args.seed, PRACTICE, number, group)
        return window, play(self.env, window, TEACHERS[self.state["teacher"]]).par()

    def _learn_from_teachers(self) -> None:
        """Begins as the teacher that is best on validation windows, then imitates each training window's best one."""
        self._measure_teachers()
        self.policy.network.follow(TEACHERS[self.state["teacher"]])
        self._validate("as the teacher")
        lessons, taught = [], Counter[str]()
        with progress("teachers play", self.args.lessons) as tell:
            for number in range(self.args.lessons):
                name, told, _ = best_teacher(
                    self.env, self.yard.window(self.args.seed, LESSON, number), self.state["teacher"]
                )
                taught[name] += 1
                lessons.append(told.lesson())
                tell(number + 1)
        with progress("imitation", 100) as tell:
            rng = np.random.default_rng((self.args.seed, LESSON))
            told_of = imitate(self.policy, join(lessons), rng, progress=lambda part: tell(round(100 * part)))
        say(f"imitation   of {', '.join(f'{name} ({n})' for name, n in taught.most_common())}")
        say(f"            {told_of['agreement']:.0%} of choices agree, entropy {told_of['entropy']:.2f} nats")
        self._validate("imitation")
        self.state["taught"] = True

    def _measure_teachers(self) -> None:
        """What each teacher costs on the validation windows, over the best one there: the bar, and where to begin."""
        with progress("validation windows", len(self.windows)) as tell:
            costs = []
            for number, window in enumerate(self.windows, 1):
                costs.append(best_teacher(self.env, window)[2])
                tell(number)
        par = [max(min(cost.values()), 1e-9) for cost in costs]
        table = {name: float(np.mean([c[name] / p for c, p in zip(costs, par, strict=True)])) for name in TEACHERS}
        teacher = min(table, key=table.__getitem__)
        self.state |= {"par": par, "teachers": table, "teacher": teacher}
        ranked = sorted(table.items(), key=lambda row: row[1])
        say("teachers    " + ", ".join(f"{name} {cost:.3f}" for name, cost in ranked) + " of each window's best cost")

    def _practise(self) -> None:
        left = self.args.steps - self.state["steps"]
        if left <= 0:
            return
        if not self.state["steps"]:
            best = load(self.args.out).weights
            self.policy.network.load_state_dict({k: torch.from_numpy(w) for k, w in best.items()})
        self.model.set_logger(configure(str(self.args.out / "tensorboard"), ["tensorboard"]))
        self.model.num_timesteps = self.state["steps"]
        with progress("practice", self.args.steps) as tell, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of stable-baselines3's own making
            self.model.learn(left, callback=_Watch(self, tell), reset_num_timesteps=False)
        self.state["steps"] = self.model.num_timesteps
        self._validate("end")
        self.model.logger.dump(self.model.num_timesteps)

    def _validate(self, when: str) -> None:
        """Scores the greedy policy on the validation windows; keeps it if none was better."""
        weights = self.policy.weights()
        now = score(self.env, self.windows, self.state["par"], greedy(weights))
        steps = self.model.num_timesteps
        self.state["scores"].append([steps, now])
        best = self.state["best"] is None or now < self.state["best"]
        if best:
            self.state["best"] = now
            told = {
                "score": now,
                "steps": steps,
                "windows": len(self.windows),
                "of": "cost over the best teacher's, per window",
            }
            save(self.args.out, weights, {**self.card, "teacher": self.state["teacher"], "validation": told})
        if self.model.num_timesteps:
            self.model.logger.record("validation/cost_over_best_teacher", now)
        say(f"validation  {now:.4f} after {steps:,} steps ({when}){', kept' if best else ''}")

    def _keep(self) -> None:
        """Writes what is needed to go on: numbers as safetensors, the rest as JSON."""
        if not self.state["taught"]:
            return  # lessons are short: an interrupted one begins anew
        self.state |= {"steps": self.model.num_timesteps, "practice": self.base + max(self.played)}
        tensors = {f"network.{k}": v for k, v in self.policy.network.state_dict().items()}
        for number, moments in self.policy.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{k}": torch.as_tensor(v).clone() for k, v in moments.items()}
        folder = _folder(self.args.out)
        write(folder / "state.safetensors", dump_tensors({k: v.contiguous() for k, v in tensors.items()}))
        write(folder / "state.json", json.dumps(self.state, indent=1).encode())

    def _resume(self) -> bool:
        """Takes up an earlier training of this folder. Raises BadInput if it was another one's."""
        folder = self.args.out / "training"
        if not (folder / "state.json").exists():
            if (self.args.out / "policy.json").exists():
                say(f"the policy in {self.args.out} is from a training that did not stop cleanly; training begins anew")
            return False
        try:
            state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
            tensors = parse_tensors((folder / "state.safetensors").read_bytes())
            other = next((k for k, v in self.args.same().items() if state["settings"].get(k) != v), None)
            if other is not None:
                was = state["settings"].get(other)
                raise BadInput(
                    f"{self.args.out} holds a training with --{other.replace('_', '-')} {was}; "
                    "choose another --out, the same settings, or --from-scratch"
                )
            self.policy.network.load_state_dict(_named(tensors, "network."))
            self._resume_optimizer(tensors)
        except BadInput:
            raise
        except Exception as error:  # whatever a torn file brings
            raise BadInput(f"{folder}: cannot be gone on with ({error}); use --from-scratch") from None
        self.state, self.base = state, state["practice"]
        self.model.num_timesteps = state["steps"]
        say(f"resumed     at {state['steps']:,} steps, best validation {state['best']:.4f}")
        return True

    def _resume_optimizer(self, tensors: Mapping[str, torch.Tensor]) -> None:
        optimizer = self.policy.optimizer
        whole = optimizer.state_dict()
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _named(tensors, "adam.").items():
            number, key = name.split(".")
            moments.setdefault(int(number), {})[key] = value
        optimizer.load_state_dict({**whole, "state": moments})


def _named(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _folder(out: Path) -> Path:
    folder = out / "training"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class _Watch(BaseCallback):
    """Validates now and then, and keeps the training's state when it does."""

    def __init__(self, trainer: Trainer, tell: Callable[[int], None]) -> None:
        super().__init__()
        self.trainer, self.tell = trainer, tell
        self.next = trainer.state["steps"] + trainer.args.validate_every

    def _on_rollout_end(self) -> None:
        self.tell(self.num_timesteps)
        if self.num_timesteps >= self.next:
            self.next += self.trainer.args.validate_every
            self.trainer._validate("practice")
            self.trainer._keep()

    def _on_step(self) -> bool:
        return True
