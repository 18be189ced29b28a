"""Eyes on real GPUs: what a driver tells of those at work, and what a live session makes of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from gpuyard.envs.log import Log
from gpuyard.envs.nodes import Accelerator, Node
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import Measured, Sample, Start, Stopped, Submitted
from gpuyard.executor.eyes import Eyes
from gpuyard.executor.live import LiveWorld
from gpuyard.executor.nvml import NoDriver, Nvml
from gpuyard.executor.reading import Partition, Reading
from gpuyard.traces.job import Job
from gpuyard.traces.trouble import BadInput
from worlds import FIFO, NODES


class Told(Nvml):
    """A driver that tells one list of readings after the other, then the last for ever; None for no driver."""

    def __init__(self, *looks: list[Reading] | None) -> None:
        super().__init__()
        self.looks, self.asked, self.closed = list(looks), 0, False

    def readings(self) -> list[Reading]:
        self.asked += 1
        told = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if told is None:
            raise NoDriver("gone")
        return told

    def close(self) -> None:
        self.closed = True


def real(*names: str) -> tuple[Node, ...]:
    return (Node("n0", tuple(Accelerator(name, "A100") for name in names)),)


def test_eyes_tell_what_is_there_and_none_of_what_is_not() -> None:
    first = [Reading(0, "GPU-0", watts=60.0, gpu_busy=0.0, memory_used=0, link_sent=1000), Reading(1, "GPU-1")]
    busy = [Reading(0, "GPU-0", watts=300.0, gpu_busy=0.9, memory_used=7, link_sent=5000), Reading(2, "GPU-2")]
    eyes = Eyes(real("GPU-1", "GPU-0", "EMULATED-A100-0"), Told(first, first, busy, busy, None, busy))
    assert eyes.watched == ("GPU-1", "GPU-0"), "what no driver shows is not told of, nor what is not ours"
    assert eyes.look(10.0) == Measured(10.0, (Sample("GPU-1"), Sample("GPU-0", 0.0, 0, 60.0)))
    seen = Sample("GPU-0", 0.9, 7, 300.0, 2000.0)  # 4000 bytes in 2 s
    assert eyes.look(12.0) == Measured(12.0, (Sample("GPU-1"), seen))
    assert eyes.look(13.0).samples[1].link == 0.0
    assert eyes.look(14.0) == Measured(14.0, (Sample("GPU-1"), Sample("GPU-0"))), "the driver is gone, and no crash"
    assert eyes.look(16.0).samples[1] == Sample("GPU-0", 0.9, 7, 300.0, 0.0), "the counter did not grow over 3 s"


def test_a_counter_that_began_anew_or_was_unknown_tells_no_traffic() -> None:
    counts = [0, 100, 50, 80, None, 90, 100]
    eyes = Eyes(real("GPU-0"), Told(*([Reading(0, "GPU-0", link_sent=count)] for count in counts)))
    assert [eyes.look(float(t)).samples[0].link for t in range(1, 7)] == [None, None, 30.0, None, None, 10.0]


def test_a_mig_device_tells_its_memory_alone() -> None:
    parts = (Partition("MIG-1", "A100-MIG-1g.5gb", memory_used=5), Partition("MIG-2", "A100-MIG-1g.5gb"))
    cut = Reading(0, "GPU-0", watts=200.0, mig=True, partitions=parts)
    eyes = Eyes(real("MIG-1", "MIG-2"), Told([cut], [cut], [Reading(0, "GPU-0", trouble="lost")]))
    assert eyes.look(1.0).samples == (Sample("MIG-1", memory=5), Sample("MIG-2"))
    assert eyes.look(2.0).samples == (Sample("MIG-1"), Sample("MIG-2"))


def test_it_looks_every_so_often_and_the_ledger_adds_up_the_energy(tmp_path: Path) -> None:
    nodes, nvml = real("GPU-0", "GPU-1"), Told([Reading(0, "GPU-0", watts=100.0), Reading(1, "GPU-1", watts=50.0)])
    jobs = [Job(0, 0.05, command=("sleep", "0.4")), Job(1, 0.1, command=("sleep", "0.1"))]
    with LiveWorld(nodes, jobs, tmp_path / "s", every=0.1, eyes=Eyes(nodes, nvml)) as world:
        session = Session(world)
        log = session.play(FIFO)
        assert not world.wait(), "nothing runs and none is to come: no looks any more"
    assert nvml.closed
    looks = [e.time for e in log.entries if isinstance(e, Measured)]
    assert len(looks) == nvml.asked - 1 >= 2
    assert isinstance(log.entries[0], Measured), "it looks before anything runs"
    assert all(after - before >= 0.1 for before, after in pairwise(looks))
    drawn = 150.0 * (session.cluster.now - looks[0])  # 100 W and 50 W, from the first look to the last event
    assert session.cluster.meter.joules == pytest.approx(drawn, rel=1e-9)
    log.write(tmp_path / "log.jsonl")
    again = Log.read(tmp_path / "log.jsonl")
    assert again.entries == log.entries
    assert again.replay().state() == session.cluster.state()


def test_a_gpu_lost_on_the_way_draws_nothing_that_is_known(tmp_path: Path) -> None:
    nodes, there = real("GPU-0"), [Reading(0, "GPU-0", watts=100.0)]
    nvml = Told(there, there, [Reading(0, "GPU-0", trouble="lost")])
    jobs = [Job(0, 0.0, command=("sleep", "0.5"))]
    with LiveWorld(nodes, jobs, tmp_path / "s", every=0.1, eyes=Eyes(nodes, nvml)) as world:
        log = Session(world).play(FIFO)
    looks = [e for e in log.entries if isinstance(e, Measured)]
    assert [e.samples[0].watts for e in looks[:2]] == [100.0, None]
    end = next(e for e in log.entries if isinstance(e, Stopped))
    assert log.entries.index(looks[1]) < log.entries.index(end), "it looks while nothing else happens"
    assert log.replay().meter.joules == pytest.approx(100.0 * (looks[1].time - looks[0].time), rel=1e-9)


def test_without_looks_and_where_nothing_can_be_seen_nothing_is_told(tmp_path: Path) -> None:
    nvml = Told([Reading(0, "GPU-0", watts=100.0)])
    jobs = [Job(0, 0.0, command=("sleep", "0.2"))]
    for number, eyes in enumerate((None, Eyes(NODES, nvml), Eyes(NODES, Told(None)))):
        every = None if eyes is None else 0.05
        with LiveWorld(NODES, jobs, tmp_path / f"{number}", every=every, eyes=eyes) as world:
            log = Session(world).play(FIFO)
        assert [type(e) for e in log.entries] == [Submitted, Start, Stopped]
        assert log.replay().meter.joules is None
    assert nvml.asked == 1


@pytest.mark.parametrize("every", [0.0, -1.0, float("inf"), float("nan")])
def test_looks_that_cannot_be(tmp_path: Path, every: float) -> None:
    with pytest.raises(BadInput, match="seconds above 0"):
        LiveWorld(NODES, [], tmp_path / "s", every=every)
    assert not (tmp_path / "s").exists()
