"""Who takes part in a comparison: a policy, several seeds of one training, or an oracle that is shown the truth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..traces.trouble import BadInput

ORACLE = re.compile(r"oracle\((.+)\)")
"""`oracle(srtf)`: the policy, told exact run times whatever the estimates of the others are."""
BOUND = "oracle(bound)"
"""What nobody can be below, see `envs.bounds`: it plays nothing."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """One row of a comparison.

    Attributes:
        name: as it is shown.
        members: the policies whose windows count for it: one, or one for each seed.
    """

    name: str
    members: tuple[str, ...]

    @property
    def oracle(self) -> bool:
        """Whether it knows what no policy can know."""
        return is_oracle(self.name)


def is_oracle(name: str) -> bool:
    """Whether a name is that of an oracle."""
    return ORACLE.fullmatch(name) is not None


def entrants(policies: Sequence[str], oracles: Sequence[str], bound: bool = False) -> list[Entrant]:
    """The policies in their order, then the oracles, and the bound where there is one.

    A folder of `seed-N` folders is one policy of several seeds.
    """
    found = [Entrant(name, seeds(name)) for name in policies]
    found += [Entrant(f"oracle({name})", (f"oracle({name})",)) for name in oracles]
    return [*found, Entrant(BOUND, (BOUND,))] if bound else found


def seeds(name: str) -> tuple[str, ...]:
    """The policies of a name: itself, or the folders of its seeds, with the mixture of objectives behind each."""
    folder, at, mixture = name.partition("@") if not Path(name).is_dir() else (name, "", "")
    path = Path(folder)
    if not path.is_dir() or (path / "policy.json").is_file():
        return (name,)
    there = sorted(path.glob("seed-*/policy.json"), key=lambda file: (len(file.parent.name), file.parent.name))
    if not there:
        raise BadInput(
            f"{folder} holds no policy.json and no seed-N folders; give the folder that a training wrote, or a name"
        )
    return tuple(f"{file.parent}{at}{mixture}" for file in there)
