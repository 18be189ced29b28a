"""The full menu: starts, stops, moves, gangs, power limits, rented nodes and reservations, a row each.

A row says what it would cost and bring as far as anybody can tell, and where each of several heuristics would rank its
job. What is offered, the files of `offers` say; a new kind of decision is a new row there, not a new action space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from .cluster import ClusterView
from .codec import Mask, Menu, Observation, candidates
from .economics import AROUND, GAINS, RANKS, around, follow, gains, ranks
from .features import MARKS, ROW, WHOLE, expected_ends, of_running, spares, time_to_fit
from .offers.offer import PROVISION, RELEASE, START, VERBS, Glance, Memory, Offer, known, made
from .placement import Place, packed
from .rates import OBJECTIVES
from .roster import Columns
from .vocabulary import Cap, Decision, Move, Preempt, Provision, Resize

NEEDS: dict[str, type] = {"preempts": Preempt, "moves": Move, "resizes": Resize, "caps": Cap, "pools": Provision}
"""File of offers -> what a world must be able to do for it."""
SHARED = len(ROW)
"""Features that both codecs show, in the same columns."""
_WEIGHTS = slice(MARKS, MARKS + len(OBJECTIVES))


@dataclass(slots=True)
class Full:
    """Every kind of decision that the world can make real, and waiting.

    Waiting may not be chosen while nothing runs and something could start, or nodes could come for who waits and none
    is on its way: nothing else might ever happen. Nor are nodes given back then. What is neither a start nor a stop can
    be chosen once in a moment, so that no circle of decisions goes on without time.

    Args:
        k: rows shown at most.
        place: proposes placements.
        offers: names of files of `offers`; what the world cannot do is not offered.
        quantum: seconds that a run must have had before it may be stopped, moved or resized.
        weights: of the objectives, in the order of `rates.OBJECTIVES`; shown in the last row.
    """

    k: int = 48
    place: Place = packed
    offers: tuple[str, ...] = field(default_factory=lambda: tuple(known()))
    quantum: float = 0.0
    weights: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(len(OBJECTIVES), np.float32))
    row: ClassVar[tuple[str, ...]] = (*ROW, *(f"is_{verb}" for verb in VERBS), *GAINS, *(f"rank_{r}" for r in RANKS))
    whole: ClassVar[tuple[str, ...]] = (*WHOLE[:MARKS], *(f"weight_{name}" for name in OBJECTIVES), *AROUND)
    marks: ClassVar[int] = len(OBJECTIVES)
    _memory: Memory = field(default_factory=lambda: Memory({}), repr=False, init=False)

    @property
    def observation_space(self) -> spaces.Box:
        """Float32 of shape (k + 1, features), between -4 and 4."""
        return spaces.Box(-4.0, 4.0, (self.k + 1, len(self.row)), np.float32)

    @property
    def action_space(self) -> spaces.Discrete:
        """k rows, then waiting."""
        return spaces.Discrete(self.k + 1)

    def menu(self, cluster: ClusterView) -> Menu:
        """What can be decided now: starts in order of submission, other offers, empty rows, and the row of waiting."""
        keys = candidates(cluster, max(self.k // 2, 1))
        order = cluster.pending.columns.of(keys)[Columns.ORDER].argsort().tolist()
        glance = Glance(cluster, self.place, [keys[row] for row in order], self.quantum, self._memory)
        rows = self._rows(glance)
        mask = self._mask(glance, rows)

        def choose(row: int) -> tuple[Decision, ...] | None:
            if row >= len(rows):
                return None
            if (key := rows[row].key) is not None:
                self._memory.done |= {key}
            return rows[row].decisions

        jobs = [-1 if offer.job is None else offer.job for offer in rows]
        look = lambda row: rows[row].decisions if row < len(rows) else ()  # noqa: E731
        return Menu(mask, jobs, choose, lambda: self._observe(glance, rows), look)

    def _rows(self, glance: Glance) -> list[Offer]:
        """As many starts as there is room for beside the other offers."""
        does = glance.cluster.does
        can = [one for one in self.offers if one != "starts" and (one not in NEEDS or NEEDS[one] in does)]
        others = list(islice(made(glance, can), self.k // 2))
        starts = made(glance, ["starts"]) if "starts" in self.offers else iter(())
        return [*islice(starts, self.k - len(others)), *others]

    def _mask(self, glance: Glance, rows: Sequence[Offer]) -> Mask:
        mask = np.zeros(self.k + 1, np.bool_)
        mask[: len(rows)] = [offer.legal for offer in rows]
        if ("reserve",) in glance.memory.done:
            mask[: len(rows)] &= self._spare(glance, rows)
        cluster = glance.cluster
        begins = {START} if sum(cluster.estate.coming.values()) else {START, PROVISION}
        could = any(mask[row] and offer.verb in begins for row, offer in enumerate(rows))
        mask[self.k] = len(cluster.running) > 0 or not could
        if not mask[self.k]:
            mask[: len(rows)] &= [offer.verb != RELEASE for offer in rows]
        return mask

    def _spare(self, glance: Glance, rows: Sequence[Offer]) -> Mask:
        """Which rows do not delay the oldest that cannot start, who has a reservation: EASY's rule, on counts."""
        head = min(glance.blocked, key=lambda job: (job.submit, job.id), default=None)
        if head is None:
            return np.ones(len(rows), np.bool_)
        cluster, at = glance.cluster, np.array([glance.keys.index(head.id)])
        free, (ends, freed) = float(cluster.room.spare), expected_ends(cluster)
        to_fit = time_to_fit(glance.those[Columns.GANG][at], free, ends, freed, cluster.now)
        flags = spares(glance.those, at, to_fit, free, ends, freed, cluster.now)[0]
        kept = dict(zip(glance.keys, flags.tolist(), strict=True))
        return np.array([offer.job is None or bool(kept.get(offer.job, True)) for offer in rows], np.bool_)

    def _observe(self, glance: Glance, rows: Sequence[Offer]) -> Observation:
        cluster, usual = glance.cluster, follow(self._memory, glance.cluster)
        out = np.zeros((self.k + 1, len(self.row)), np.float32)
        last = out[-1]
        last[_WEIGHTS] = self.weights
        last[_WEIGHTS.stop :][: len(AROUND)] = around(cluster, usual)
        last[1] = cluster.room.spare / (cluster.room.size or 1)
        if glance.keys:
            last[1:MARKS] = glance.described[1]
        if rows:
            out[: len(rows), 0] = 1.0
            out[: len(rows), SHARED : SHARED + len(VERBS) + len(GAINS)] = gains(cluster, rows, usual)
            self._tell_of_jobs(glance, rows, out)
        return np.clip(out, -4.0, 4.0, out=out)

    def _tell_of_jobs(self, glance: Glance, rows: Sequence[Offer], out: Observation) -> None:
        """Fills in what rows say of the jobs in them: of those that wait, then of those that run."""
        at = {key: column for column, key in enumerate(glance.keys)}
        waiting = [row for row, offer in enumerate(rows) if offer.job in at]
        if waiting:
            columns = [at[rows[row].job] for row in waiting]  # type: ignore[index]
            out[waiting, :SHARED] = glance.described[0][:, columns].T
            out[waiting, -len(RANKS) :] = ranks(glance.cluster, glance.those)[:, columns].T
        running = [row for row, offer in enumerate(rows) if offer.job is not None and offer.job not in at]
        if running:
            out[running, :SHARED] = of_running(glance.cluster, [rows[row].job for row in running]).T  # type: ignore[misc]
