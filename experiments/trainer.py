"""Training by practice: the teachers are imitated, then MaskablePPO goes on from there."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as dump_tensors
from sb3_contrib import MaskablePPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

from ..envs.vector import Batch, Par
from ..policies.learned import Weights, load
from ..policies.network import BatchVecEnv, MenuPolicy, imitate, join
from ..traces.trouble import BadInput
from .lessons import best_teacher, play, player
from .school import LESSON, PRACTICE, School, torn
from .screen import progress, say


class Trainer:
    """One training, from its first lesson or from where an earlier one stopped."""

    def __init__(self, school: School) -> None:
        torch.set_num_threads(1)  # the network is small: a second thread costs more than it brings
        self.school, self.args = school, school.args
        self.played, self.base = [0] * self.args.envs, 0
        self._windows = lru_cache(4 * self.args.envs)(self._window)
        self.model = self._model()
        self.policy = cast(MenuPolicy, self.model.policy)

    def train(self) -> bool:
        """Trains to the end; False if it was interrupted, with everything kept to go on."""
        fresh = self.args.restart or not self._resume()
        try:
            if fresh:
                self._begin()
            self._practise()
        except KeyboardInterrupt:
            self._keep()
            return False
        self._keep()
        return True

    def _model(self) -> MaskablePPO:
        args = self.args
        batch = Batch([self.school.yard.env() for _ in range(args.envs)], self._next_window)
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
            policy_kwargs={"width": args.width, "marks": self.school.yard.codec.marks},
            seed=args.seed,
            device="cpu",
        )

    def _next_window(self, env: int) -> tuple[dict[str, Any], Par]:
        """The same windows, in the same order, for all replicas of a group; par is the teacher's play."""
        number, self.played[env] = self.base + self.played[env], self.played[env] + 1
        return self._windows(number, env // self.args.replicas)

    def _window(self, number: int, group: int) -> tuple[dict[str, Any], Par]:
        school, seed = self.school, (self.args.seed, PRACTICE, number, group)
        task = school.yard.task(school.env, school.yard.window(*seed), *seed)
        return task.options, play(school.env, task, player(school.known[school.state["teacher"]])).par()

    def _begin(self) -> None:
        """Begins as a given policy, as nothing, or as the best rule of validation windows; then by imitation."""
        self.school.measure_teachers()
        if self.args.begin is not None:
            self._load(_begun(self.args.begin, self.policy))
            self._validate("as it began")
        elif self.args.blank:
            self._validate("blank")
        else:
            self.policy.network.follow(self.school.begin())
            self._validate("as the teacher")
        if self.args.lessons:
            self._learn_from_teachers()
        self.school.state["taught"] = True

    def _learn_from_teachers(self) -> None:
        """Imitates each training window's best teacher."""
        school = self.school
        lessons, taught = [], Counter[str]()
        with progress("teachers play", self.args.lessons) as tell:
            for number in range(self.args.lessons):
                seed = (self.args.seed, LESSON, number)
                task = school.yard.task(school.env, school.yard.window(*seed), *seed)
                name, told, _ = best_teacher(school.env, task, school.known, school.state["teacher"])
                taught[name] += 1
                lessons.append(told.lesson())
                tell(number + 1)
        with progress("imitation", 100) as tell:
            rng = np.random.default_rng((self.args.seed, LESSON))
            told_of = imitate(self.policy, join(lessons), rng, progress=lambda part: tell(round(100 * part)))
        say(f"imitation   of {', '.join(f'{name} ({n})' for name, n in taught.most_common())}")
        say(f"            {told_of['agreement']:.0%} of choices agree, entropy {told_of['entropy']:.2f} nats")
        self._validate("imitation")

    def _load(self, weights: Weights) -> None:
        self.policy.network.load_state_dict({k: torch.from_numpy(np.array(w)) for k, w in weights.items()})

    def _practise(self) -> None:
        left = self.args.steps - self.school.state["steps"]
        if left <= 0:
            return
        if not self.school.state["steps"]:
            self._load(self.school.best())
        self.model.set_logger(configure(str(self.args.out / "tensorboard"), ["tensorboard"]))
        self.model.num_timesteps = self.school.state["steps"]
        with progress("practice", self.args.steps) as tell, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of stable-baselines3's own making
            self.model.learn(left, callback=_Watch(self, tell), reset_num_timesteps=False)
        self.school.state["steps"] = self.model.num_timesteps
        self._validate("end")
        self.model.logger.dump(self.model.num_timesteps)

    def _validate(self, when: str) -> None:
        """Scores the policy as it is now; it is kept if none was better."""
        now = self.school.validate(self.policy.weights(), self.model.num_timesteps, when)
        if self.model.num_timesteps:
            self.model.logger.record("validation/cost_over_best_teacher", now)

    def _keep(self) -> None:
        """Writes what is needed to go on. Lessons are short: an interrupted one begins anew."""
        if not self.school.state["taught"]:
            return
        self.school.state |= {"steps": self.model.num_timesteps, "practice": self.base + max(self.played)}
        tensors = {f"network.{k}": v for k, v in self.policy.network.state_dict().items()}
        for number, moments in self.policy.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{k}": torch.as_tensor(v).clone() for k, v in moments.items()}
        self.school.keep(dump_tensors({k: v.contiguous() for k, v in tensors.items()}))

    def _resume(self) -> bool:
        """Takes up an earlier training of this folder. Raises BadInput if it was another one's."""
        if (kept := self.school.kept()) is None:
            return False
        state, data = kept
        try:
            tensors = parse_tensors(data)
            self.policy.network.load_state_dict(_named(tensors, "network."))
            self._resume_optimizer(tensors)
            self.base, self.model.num_timesteps = state["practice"], state["steps"]
        except Exception as error:  # whatever a torn file brings
            raise torn(self.args.out / "training", error) from None
        self.school.resume(state)
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


def _begun(folder: Path, policy: MenuPolicy) -> Weights:
    """The weights of a saved policy, in a network of this policy's width. Raises BadInput where they do not fit."""
    begun = load(folder)
    mine = policy.weights()
    if begun.weights["rule.weight"].shape != mine["rule.weight"].shape:
        raise BadInput(f"--begin {folder}: was trained on other features; choose a policy of the same --menu")
    if all(begun.weights[name].shape == mine[name].shape for name in mine):
        return begun.weights
    if np.any(begun.weights["logit.weight"]) or np.any(begun.weights["wait.weight"]):
        width = len(begun.weights["row1.bias"])
        raise BadInput(f"--begin {folder}: its network has width {width}; give --width {width}")
    kept = {name: begun.weights[name] for name in ("rule.weight", "wait.bias", "marks.weight") if name in mine}
    return {**mine, **kept}


class _Watch(BaseCallback):
    """Validates now and then, and keeps the training's state when it does."""

    def __init__(self, trainer: Trainer, tell: Callable[[int], None]) -> None:
        super().__init__()
        self.trainer, self.tell = trainer, tell
        self.next = trainer.school.state["steps"] + trainer.args.validate_every

    def _on_rollout_end(self) -> None:
        self.tell(self.num_timesteps)
        if self.num_timesteps >= self.next:
            self.next += self.trainer.args.validate_every
            self.trainer._validate("practice")
            self.trainer._keep()

    def _on_step(self) -> bool:
        return True
