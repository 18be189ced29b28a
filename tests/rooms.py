"""Random clusters, partly full, and a judge of what may stand in them that knows nothing of how rooms are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from hypothesis import strategies as st

from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.placement import consolidated, first_fit, packed, spread
from gpuyard.envs.space import Space
from gpuyard.envs.vocabulary import Placement
from gpuyard.traces.job import Job
from strategies import jobs

PLACES = (packed, first_fit, consolidated, spread)
Held = list[tuple[Job, Placement]]


@st.composite
def clusters(draw: st.DrawFn, hosts: bool = True) -> tuple[Node, ...]:
    """One to four nodes with up to four accelerators of up to two kinds; CPUs and memory may be limits."""
    made = []
    for number in range(draw(st.integers(1, 4))):
        kinds = draw(st.lists(st.sampled_from("AAB"), max_size=4))
        accelerators = tuple(Accelerator(f"n{number}/{i}", kind) for i, kind in enumerate(kinds))
        cpus = draw(st.sampled_from([None, 2, 5.5])) if hosts else None
        memory = draw(st.sampled_from([None, 1000, 2500])) if hosts else None
        made.append(Node(f"n{number}", accelerators, cpus, memory))
    return tuple(made)


@dataclass
class Full:
    """A room and what stands in it."""

    room: Space
    held: Held = field(default_factory=list)


@st.composite
def rooms(draw: st.DrawFn, hosts: bool = True) -> Full:
    """A cluster in which jobs came and some left again, so that there are holes."""
    full = Full(Space(draw(clusters(hosts))))
    for number in range(draw(st.integers(0, 8))):
        job = draw(jobs(number, 0.0))
        if placement := draw(st.sampled_from(PLACES))(job, full.room):
            full.room.take(job, placement)
            full.held.append((job, placement))
    for _ in range(draw(st.integers(0, len(full.held)))):
        full.room.give(*full.held.pop(draw(st.integers(0, len(full.held) - 1))))
    return full


def legal(nodes: Sequence[Node], held: Held) -> bool:
    """Whether all this may stand there at once."""
    return all(wanted(job, placement, nodes) for job, placement in held) and conserved(nodes, held)


def wanted(job: Job, placement: Placement, nodes: Sequence[Node]) -> bool:
    """Whether a placement is what the job asks for, on accelerators that exist where it says."""
    kinds = {(n.id, a.id): a.kind for n in nodes for a in n.accelerators}
    seats = [(node, a) for node, accelerators in placement for a in accelerators]
    if not job.gang:
        return not seats and len(placement) == 1 and placement[0][0] in {n.id for n in nodes}
    found = {kinds.get(seat, "?") for seat in seats}
    one_kind = len(found) == 1 and "?" not in found and (not job.kinds or found <= set(job.kinds))
    whole = all(accelerators for _, accelerators in placement) and len({n for n, _ in placement}) == len(placement)
    return one_kind and whole and len(seats) == len(set(seats)) == job.gang


def conserved(nodes: Sequence[Node], held: Held) -> bool:
    """Whether no accelerator, and no node's CPUs and memory, are given out beyond what there is."""
    shares: Counter[str] = Counter()
    cpus: Counter[str] = Counter()
    memory: Counter[str] = Counter()
    for job, placement in held:
        for node, accelerators in placement:
            part = Fraction(len(accelerators), job.gang) if job.gang else Fraction(1)
            cpus[node] += part * Fraction(str(job.cpus or 0))  # type: ignore[assignment]
            memory[node] += part * (job.host_memory or 0)  # type: ignore[assignment]
            for accelerator in accelerators:
                shares[accelerator] += round(job.share * 1000)
    enough = all(
        (n.cpus is None or cpus[n.id] <= Fraction(str(n.cpus))) and (n.memory is None or memory[n.id] <= n.memory)
        for n in nodes
    )
    return enough and all(share <= 1000 for share in shares.values())
