"""The probe, through NVIDIA's true binding, on an emulated libnvidia-ml.so.1 (tests/nvml) that is compiled here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from driver import LOOK, UUIDS, python, turn
from gpuyard.executor.reading import Partition, Process, Reading

GIB = 2**30


def test_four_gpus_with_all_that_can_be_told(library: Path, knobs: Path) -> None:
    turn(knobs, gpu1__busy=80, gpu1__milliwatts=250500, gpu1__millijoules=7000, gpu1__celsius=61, gpu1__ecc=3)
    turn(knobs, gpu1__nvlink_kib=2**33)
    turn(knobs, **{f"gpu1__processes__{os.getpid()}": 512})
    found = python("print(json.dumps([show(readings()), ids(probe()), ids(probe(skip_busy=True))]))", library, knobs)
    readings, all_ids, idle_ids = found
    assert [r["uuid"] for r in readings] == all_ids == UUIDS
    assert idle_ids == [UUIDS[0], *UUIDS[2:]]
    assert readings[0]["link_sent"] is None, "it has no NVLink"
    assert readings[1] == {
        "index": 1,
        "uuid": UUIDS[1],
        "name": "NVIDIA Emulated A100-SXM4-40GB",
        "kind": "A100",
        "pci": "00000000:11:00.0",
        "memory_total": 40 * GIB,
        "memory_used": GIB // 2,
        "gpu_busy": 0.8,
        "memory_busy": 0.4,
        "watts": 250.5,
        "watts_limit": 400.0,
        "joules": 7.0,
        "link_sent": 2**43,
        "celsius": 61.0,
        "ecc_errors": 3,
        "processes": [{"pid": os.getpid(), "memory": GIB // 2}],
        "mig": False,
        "partitions": [],
        "emulated": True,
        "trouble": None,
    }


def test_the_node_is_this_machine(library: Path, knobs: Path) -> None:
    turn(knobs, count=1, gpu0__name="NVIDIA Emulated H100 80GB HBM3", gpu0__memory_mib=81559)
    code = "node, = probe(); print(json.dumps([node.id, node.cpus, node.memory, asdict(node.accelerators[0])]))"
    name, cpus, memory, accelerator = python(code, library, knobs)
    assert name == os.uname().nodename
    assert cpus == len(os.sched_getaffinity(0))
    assert memory > 2**28
    assert accelerator == {"id": UUIDS[0], "kind": "H100", "memory": 81559 * 2**20, "emulated": True}


def test_in_mig_mode_the_parts_can_be_given_and_the_whole_cannot(library: Path, knobs: Path) -> None:
    turn(knobs, count=2, gpu1__mig__0="1 1 4864", gpu1__mig__2="3 3 19968 3g.20gb", gpu1__mig__3="3 1 19968")
    readings, ids = python("print(json.dumps([show(readings()), ids(probe())]))", library, knobs)
    parts = [f"MIG-e001{index:04d}-0000-5000-8000-000000000000" for index in (0, 2, 3)]
    assert ids == [UUIDS[0], *parts]
    assert readings[1]["mig"] is True
    assert readings[1]["gpu_busy"] is None, "utilisation is not told in MIG mode"
    assert readings[1]["partitions"][0] == {
        "uuid": parts[0],
        "kind": "A100-MIG-1g.5gb",
        "profile": "1g.5gb",
        "memory_total": 4864 * 2**20,
        "memory_used": 0,
        "processes": [],
    }
    assert [p["profile"] for p in readings[1]["partitions"]] == ["1g.5gb", "3g.20gb", "1c.3g.20gb"]


def test_mig_without_attributes_has_no_profile(library: Path, knobs: Path) -> None:
    turn(knobs, count=1, gpu0__mig__0="1 1 4864", gpu0__unsupported="attributes")
    kinds = python("print(json.dumps([a.kind for a in probe()[0].accelerators]))", library, knobs)
    assert kinds == ["A100-MIG"]


def test_mig_mode_without_parts_offers_nothing(library: Path, knobs: Path) -> None:
    (knobs / "gpu0" / "mig").mkdir(parents=True)
    turn(knobs, count=1)
    assert python("print(json.dumps(ids(probe())))", library, knobs) == []


@pytest.mark.parametrize("how", ["handle", "calls"])
def test_a_lost_gpu_takes_down_nothing_else(library: Path, knobs: Path, how: str) -> None:
    turn(knobs, gpu2__lost=how)
    readings, ids = python("print(json.dumps([show(readings()), ids(probe())]))", library, knobs)
    assert ids == [UUIDS[0], UUIDS[1], UUIDS[3]]
    assert [r["trouble"] for r in readings] == [None, None, "lost: fell off the bus; reset it or reboot", None]
    assert readings[2]["watts"] is None


@pytest.mark.parametrize("how", [{"gpu1__lost": "handle"}, {"gpu1__lost": "calls"}, {"count": 1}])
def test_a_gpu_lost_later_keeps_its_name(library: Path, knobs: Path, how: dict[str, object]) -> None:
    turn(knobs, count=2)
    changes = "".join(
        f"(d / {k!r}).parent.mkdir(exist_ok=True); (d / {k!r}).write_text({str(v)!r})\n" for k, v in how.items()
    )
    code = f"""
import os, pathlib
d = pathlib.Path(os.environ["EMULATED_NVML"])
with Nvml() as nvml:
    nvml.readings()
    {changes.replace("__", "/").strip()}
    print(json.dumps([[r.uuid, r.trouble] for r in nvml.readings()]))
"""
    assert python(code, library, knobs) == [[UUIDS[0], None], [UUIDS[1], "lost: fell off the bus; reset it or reboot"]]


def test_what_is_not_supported_is_none(library: Path, knobs: Path) -> None:
    turn(knobs, count=1, gpu0__unsupported="memory busy power energy temperature ecc processes recovery remap")
    (reading,) = python("print(json.dumps(show(readings())))", library, knobs)
    told = {key for key, value in reading.items() if value is not None and value != []}
    assert told == {"index", "uuid", "name", "kind", "pci", "mig", "emulated"}
    assert python("print(json.dumps(ids(probe())))", library, knobs) == [UUIDS[0]]


def test_an_old_driver_lacks_functions(old_library: Path, knobs: Path) -> None:
    turn(knobs, count=1, gpu0__celsius=44, **{f"gpu0__processes__{os.getpid()}": "?"})
    (reading,) = python("print(json.dumps(show(readings())))", old_library, knobs)
    assert reading["celsius"] == 44
    assert reading["memory_total"] == 40 * GIB
    assert reading["processes"] == [{"pid": os.getpid(), "memory": None}]
    assert reading["trouble"] is None


def test_dead_processes_are_left_out(library: Path, knobs: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    turn(knobs, count=1, **{f"gpu0__processes__{dead.pid}": 100, f"gpu0__processes__{os.getpid()}": 200})
    (reading,) = python("print(json.dumps(show(readings())))", library, knobs)
    assert [p["pid"] for p in reading["processes"]] == [os.getpid()]


def test_processes_by_uuid(library: Path, knobs: Path) -> None:
    turn(knobs, **{f"gpu3__processes__{os.getpid()}": 7})
    code = f"print(json.dumps([[p.pid for p in Nvml().processes(u) or ()] for u in {UUIDS[2:]}]))"
    assert python(code, library, knobs) == [[], [os.getpid()]]
    assert python("print(json.dumps(Nvml().processes('GPU-that-is-not-there')))", library, knobs) is None


def test_the_driver_can_condemn_a_gpu_that_answers(library: Path, knobs: Path) -> None:
    turn(knobs, count=3, gpu0__recovery=1, gpu1__remap_failed=1)
    troubles, ids = python("print(json.dumps([[r.trouble for r in readings()], ids(probe())]))", library, knobs)
    assert troubles[0] == "the driver asks for a reset"
    assert "beyond repair" in troubles[1]
    assert ids == [UUIDS[2]]


def test_a_forked_process_opens_it_anew(library: Path, knobs: Path) -> None:
    code = """
import os
nvml = Nvml()
here = len(nvml.readings())
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, str(len(nvml.readings())).encode())
    nvml.close()
    os._exit(0)
os.wait()
print(json.dumps([here, int(os.read(read, 9)), len(nvml.readings())]))
nvml.close()
nvml.close()
"""
    assert python(code, library, knobs) == [4, 4, 4]


def test_no_driver_is_said_in_one_sentence(tmp_path: Path, library: Path) -> None:
    code = """
try:
    probe()
except NoDriver as error:
    print(json.dumps(str(error)))
"""
    if shutil.which("nvidia-smi") is None:
        missing = python(code, tmp_path, tmp_path)
        assert missing.startswith("no NVIDIA driver here (no libnvidia-ml.so.1); install one, or use emulated ones")
    assert python(code, library, tmp_path / "nothing").startswith("the NVIDIA driver is not loaded")


def test_the_emulated_structures_are_the_bindings(library: Path, knobs: Path) -> None:
    code = """
import ctypes, pynvml
size = ctypes.CDLL("libnvidia-ml.so.1").emulated_sizeof
names = "nvmlPciInfo_t c_nvmlMemory_t c_nvmlMemory_v2_t c_nvmlUtilization_t c_nvmlProcessInfo_v3_t".split()
names += "c_nvmlTemperature_v1_t c_nvmlDeviceAttributes c_nvmlFieldValue_t".split()
print(json.dumps({n: [size(n.encode()), ctypes.sizeof(getattr(pynvml, n))] for n in names}))
"""
    sizes = python(code, library, knobs)
    assert len(sizes) == 8
    assert all(ours == theirs > 0 for ours, theirs in sizes.values()), sizes


def test_the_probe_tells_a_large_a100(library: Path, knobs: Path) -> None:
    turn(knobs, count=2, gpu0__memory_mib=81920, gpu1__memory_mib=81920, gpu1__mig__0="1 1 9728")
    kinds = python("print(json.dumps([a.kind for a in probe()[0].accelerators]))", library, knobs)
    assert kinds == ["A100-80GB", "A100-80GB-MIG-1g.10gb"]


LIVE = """
import pathlib, sys
from gpuyard.envs.session import Session
from gpuyard.envs.vocabulary import Measured, Stopped
from gpuyard.executor.live import LiveWorld
from gpuyard.policies.orders import fifo
from gpuyard.traces.job import Job
job = Job(0, 0.0, 2, command=("sh", "-c", COMMAND))
with LiveWorld(probe(), [job], pathlib.Path(FOLDER), every=0.05) as world:
    session = Session(world)
    log = session.play(fifo)
looks = [[e.time, [asdict(s) for s in e.samples]] for e in log.entries if isinstance(e, Measured)]
ends = [[e.time, e.reason] for e in log.entries if isinstance(e, Stopped)]
same = log.replay().state() == session.cluster.state()
print(json.dumps([looks, ends, same, session.cluster.meter.joules]))
"""


def test_a_live_session_sees_its_gpus_work_and_survives_their_loss(library: Path, knobs: Path) -> None:
    """Two GPUs; the job makes one of them work, and then lets it fall off the bus."""
    turn(knobs, count=2, gpu0__nvlink_kib=0)
    work = f"cd {knobs}/gpu0; echo 90 > busy; echo 300000 > milliwatts; sleep 0.3; echo handle > lost; sleep 0.3"
    code = LIVE.replace("COMMAND", repr(work)).replace("FOLDER", repr(str(knobs.parent / "s")))
    looks, [[end, reason]], same, joules = python(code, library, knobs)
    assert (reason, same) == ("finished", True)
    idle, unknown = {"busy": 0.0, "memory": 0, "watts": 60.0}, {"busy": None, "memory": None, "watts": None}
    assert looks[0][1] == [{"accelerator": UUIDS[n], **idle, "link": None} for n in (0, 1)]
    first = [samples[0] for _, samples in looks]
    assert {"accelerator": UUIDS[0], "busy": 0.9, "memory": 0, "watts": 300.0, "link": 0.0} in first
    assert first[-1] == {"accelerator": UUIDS[0], **unknown, "link": None}
    assert all(other == {"accelerator": UUIDS[1], **idle, "link": None} for _, (_, other) in looks), "it is well"
    watts = [sum(sample["watts"] or 0.0 for sample in samples) for _, samples in looks]
    times = [*(time for time, _ in looks), end]
    assert joules == pytest.approx(sum(w * (b - a) for w, (a, b) in zip(watts, pairwise(times), strict=True)))


def test_run_tells_the_energy_of_gpus_that_nvml_shows(library: Path, knobs: Path) -> None:
    turn(knobs, count=1, gpu0__milliwatts=100000)
    jobs, out = knobs.parent / "jobs.toml", knobs.parent / "o"
    jobs.write_text('[[jobs]]\ncommand = ["sleep", "0.3"]\nprofile = "lm"\n')
    code = f"""
from click.testing import CliRunner
from gpuyard.experiments.run import command
words = "--policy fifo --measure 0.1 --tuned --json --out {out} {jobs}".split()
done = CliRunner().invoke(command, words)
shown = CliRunner().invoke(command, [w.replace("{out}", "{out}2") for w in words if w != "--json"]).stdout
print(json.dumps([json.loads(done.stdout), open("{out}/session.jsonl").read(), shown]))
"""
    told, log, shown = python(code, library, knobs)
    assert ", drew 0.0 Wh, log" in shown
    assert told["energy_kwh"] == pytest.approx(100.0 * told["makespan"] / 3.6e6)
    assert '"tuning":{"precision":"bf16"' in log
    assert log.count('"event":"measured"') >= 2


def test_what_a_reading_offers() -> None:
    busy, idle = (Process(1),), ()
    assert [a.id for a in Reading(0, "GPU-1", kind="A100", processes=busy).accelerators()] == ["GPU-1"]
    assert not list(Reading(0, "GPU-1", kind="A100", processes=busy).accelerators(skip_busy=True))
    assert not list(Reading(0, "GPU-1", trouble="lost").accelerators())
    assert not list(Reading(0).accelerators())
    parts = (Partition("MIG-1", "A100-MIG", processes=busy), Partition("MIG-2", "A100-MIG", processes=idle))
    cut = Reading(0, "GPU-1", mig=True, partitions=parts)
    assert [a.id for a in cut.accelerators(skip_busy=True)] == ["MIG-2"]


@pytest.mark.gpu
def test_a_real_gpu_is_no_emulated_one() -> None:
    if shutil.which("nvidia-smi") is None:
        pytest.skip("no NVIDIA driver here")
    code = "print(json.dumps([show(readings()), ids(probe())]))"
    done = subprocess.run([sys.executable, "-c", LOOK + code], capture_output=True, text=True, check=True)
    readings, ids = json.loads(done.stdout)
    assert {r["emulated"] for r in readings} == {False}
    assert all(i.startswith(("GPU-", "MIG-")) for i in ids)
    assert all(0 <= r["memory_used"] <= r["memory_total"] for r in readings if r["memory_total"])
