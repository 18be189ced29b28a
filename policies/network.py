"""The network of a learned policy, in torch, which nothing but this and the trainer imports.

Every row of the menu is scored by the same weights, beside a pooled context: the order of rows cannot matter, nor their
number. A linear rule runs beside the network, so that the untrained policy already is about the best simple rule.
(Kernel networks: RLScheduler, SC20. Pooled context: Zaheer et al., Deep Sets, NeurIPS 2017.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from ..envs.features import MARKS, ROW
from ..envs.vector import Batch
from .learned import Weights


class Network(nn.Module):
    """Observations of shape (batch, rows, features) -> logits of shape (batch, rows) and values of shape (batch, 1)."""

    def __init__(self, width: int = 32, features: int = len(ROW), marks: int = 0) -> None:
        super().__init__()
        self.row1, self.row2 = nn.Linear(features, width), nn.Linear(width, width)
        self.pool = nn.Linear(2 * width + features, width)
        self.join, self.logit = nn.Linear(2 * width, width), nn.Linear(width, 1)
        self.wait = nn.Linear(width, 1)
        self.rule = nn.Linear(features, 1, bias=False)
        self.value1, self.value2 = nn.Linear(width, width), nn.Linear(width, 1)
        self.marks = nn.Linear(features, marks, bias=False) if marks else None
        if self.marks is not None:
            nn.init.zeros_(self.marks.weight)
        for quiet in (self.logit, self.wait, self.rule):
            nn.init.zeros_(quiet.weight)
        nn.init.zeros_(self.logit.bias)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and values."""
        rows, whole = observation[:, :-1], observation[:, -1]
        valid = rows[..., :1]
        hidden = torch.relu(self.row2(torch.relu(self.row1(rows)))) * valid
        mean = hidden.sum(1) / valid.sum(1).clamp(min=1)
        context = torch.relu(self.pool(torch.cat([mean, hidden.amax(1), whole], 1)))
        width = hidden.shape[-1]
        mine = nn.functional.linear(hidden, self.join.weight[:, :width])
        shared = nn.functional.linear(context, self.join.weight[:, width:], self.join.bias)
        scores = (self.logit(torch.relu(mine + shared[:, None])) + self.rule(rows))[..., 0]
        if self.marks is not None:
            shown = whole[:, None, MARKS : MARKS + self.marks.out_features]
            scores = scores + (self.marks(rows) * shown).sum(-1)
        value: Tensor = self.value2(torch.relu(self.value1(context)))
        return torch.cat([scores, self.wait(context)], 1), value

    def follow(self, weights: Weights) -> None:
        """Makes the untrained network choose as a linear rule does: one of `of_rule`."""
        with torch.no_grad():
            self.rule.weight.copy_(torch.from_numpy(weights["rule.weight"]))
            self.wait.bias.copy_(torch.from_numpy(weights["wait.bias"]))
            if self.marks is not None:
                self.marks.weight.copy_(torch.from_numpy(weights["marks.weight"]))


class _Heads(nn.Module):
    """What stable-baselines3 calls an mlp_extractor: here it ends in logits and values already."""

    def __init__(self, network: Network, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.network, self.shape = network, shape

    def forward(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        logits, values = self.network(flat.view(-1, *self.shape))
        return logits, values

    def forward_actor(self, flat: Tensor) -> Tensor:
        return self.forward(flat)[0]

    def forward_critic(self, flat: Tensor) -> Tensor:
        return self.forward(flat)[1]


class MenuPolicy(MaskableActorCriticPolicy):
    """MaskablePPO's policy with the network in place of its linear heads."""

    def __init__(self, *args: Any, width: int = 32, marks: int = 0, **kwargs: Any) -> None:
        self.width, self.marks = width, marks
        super().__init__(*args, **{"net_arch": [], **kwargs})

    def _build(self, lr_schedule: Callable[[float], float]) -> None:
        shape = self.observation_space.shape
        assert shape is not None
        self.network = Network(self.width, shape[1], self.marks)
        self.mlp_extractor = _Heads(self.network, shape)  # type: ignore[assignment]
        self.action_net = self.value_net = nn.Identity()  # type: ignore[assignment]
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    def weights(self) -> Weights:
        """The network's arrays by name."""
        return {name: w.detach().cpu().numpy().copy() for name, w in self.network.state_dict().items()}


class BatchVecEnv(VecEnv):
    """A `Batch` as stable-baselines3 wants it. Masks lie beside the observations: asking for them costs nothing."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        codec = batch.envs[0].codec
        space: spaces.Box = codec.observation_space
        super().__init__(len(batch), space, codec.action_space)
        self._actions: npt.NDArray[np.int64] = np.zeros(len(batch), np.int64)

    def reset(self) -> npt.NDArray[np.float32]:
        """Observations of shape (n, rows, features)."""
        return self.batch.reset().copy()

    def step_async(self, actions: npt.NDArray[np.int64]) -> None:
        """Notes the actions."""
        self._actions = actions

    def step_wait(
        self,
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.bool_], list[dict[str, Any]]]:
        """Takes the step."""
        observations, rewards, ends, infos = self.batch.step(self._actions)
        return observations.copy(), rewards, ends, infos

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Masks come from the batch; other methods are called on each environment."""
        if method_name == "action_masks":
            return list(self.batch.masks[list(self._get_indices(indices))])
        return [getattr(self.batch.envs[i], method_name)(*args, **kwargs) for i in self._get_indices(indices)]

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of each environment."""
        return [getattr(self.batch.envs[i], attr_name) for i in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Sets an attribute of each environment."""
        for i in self._get_indices(indices):
            setattr(self.batch.envs[i], attr_name, value)

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Never."""
        return [False for _ in self._get_indices(indices)]

    def close(self) -> None:
        """Nothing to close."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a teacher did: arrays over steps.

    Attributes:
        observations: float32 (n, rows, features).
        masks: bool (n, rows).
        actions: int64 (n,).
    """

    observations: npt.NDArray[np.float32]
    masks: npt.NDArray[np.bool_]
    actions: npt.NDArray[np.int64]


def imitate(
    policy: MenuPolicy,
    lesson: Lesson,
    rng: np.random.Generator,
    *,
    epochs: int = 4,
    batch: int = 512,
    rate: float = 2e-3,
    entropy: float = 0.02,
    progress: Callable[[float], None] = lambda _: None,
) -> dict[str, float]:
    """Trains the policy to choose as the teacher did, entropy kept; its value learns that a teacher is about par.

    Returns the last epoch's share of agreement and mean entropy (nats).
    """
    optimizer = torch.optim.Adam(policy.parameters(), lr=rate)
    count, told = len(lesson.actions), {"agreement": 0.0, "entropy": 0.0}
    for epoch in range(epochs):
        agreed, spread = 0.0, 0.0
        order = rng.permutation(count)
        for start in range(0, count, batch):
            rows = order[start : start + batch]
            logits, values = policy.network(torch.from_numpy(lesson.observations[rows]))
            logits = logits.masked_fill(~torch.from_numpy(lesson.masks[rows]), -1e8)
            actions = torch.from_numpy(lesson.actions[rows])
            logs = torch.log_softmax(logits, 1)
            spreads = -(logs.exp() * logs).sum(1).mean()
            loss = nn.functional.nll_loss(logs, actions) - entropy * spreads + values.square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            agreed += float((logits.argmax(1) == actions).sum())
            spread += float(spreads.detach()) * len(rows)
            progress((epoch + min(1.0, (start + batch) / count)) / epochs)
        told = {"agreement": agreed / count, "entropy": spread / count}
    return told


def join(lessons: Sequence[Lesson]) -> Lesson:
    """Several lessons as one."""
    names = ("observations", "masks", "actions")
    return Lesson(*(np.concatenate([getattr(lesson, name) for lesson in lessons]) for name in names))
