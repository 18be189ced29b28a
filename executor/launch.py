"""One attempt at a job: a real process group, its environment, its logs, and how it is made to end.

The signal ladder is SIGTERM to the group, `grace` seconds, SIGKILL to the group. A job that saves its work on SIGTERM
says so by exiting 75 (EX_TEMPFAIL of sysexits.h) or 85 (the checkpoint exit code in HTCondor's manual).

What a job finds in its environment, beside what this process has in its own:

    CUDA_VISIBLE_DEVICES, NVIDIA_VISIBLE_DEVICES   its accelerators by UUID, empty for none
    CUDA_DEVICE_ORDER                              PCI_BUS_ID
    GPUYARD_JOB_ID                                 its number
    GPUYARD_ATTEMPT, GPUYARD_RESTARTS              1 and 0 at first, counting up
    GPUYARD_CHECKPOINT_DIR                         where to save its work, and to look for it
    GPUYARD_EMULATED                               1 on emulated accelerators, else unset

and, each only where the `Tuning` of its start says so, how to use the hardware that it got:

    GPUYARD_PRECISION                              fp32, tf32, fp16, bf16 or fp8
    GPUYARD_COMPILE                                1 to compile the model ahead, 0 not to
    GPUYARD_BATCH                                  samples a step on each accelerator
    GPUYARD_WATTS                                  power limit of each accelerator; the job's to set, if it may

Nothing forces a job to follow them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ..envs.nodes import Accelerator
from ..envs.vocabulary import Reason, Tuning
from ..traces.job import Job

CHECKPOINTED = (75, 85)
CANNOT_START = 127
"""The code of a command that could not be started, as shells have it."""
REAPED = 255
"""The code of a command whose true code someone else has taken: other code that waits for children, SIGCHLD ignored."""

_SOMETIMES = ("GPUYARD_EMULATED", "GPUYARD_PRECISION", "GPUYARD_COMPILE", "GPUYARD_BATCH", "GPUYARD_WATTS")
"""What only some jobs are told; of a session within a job, none is told what that job was."""

_SIGNALS = {number.value: number.name for number in signal.Signals}


class Attempt:
    """A running, or ended, attempt at a job.

    Attributes:
        number: 1 for the job's first attempt.
        pid: of its main process, which leads its group; None if it could not be started.
        code: None while it runs; then its exit code, or minus the number of the signal that killed it.
        stopping: it was asked to end.
        deadline: when its grace is over, on the monotonic clock; infinite until it was asked.
    """

    def __init__(self, number: int, folder: Path, process: subprocess.Popen[bytes] | None) -> None:
        self.number = number
        self.pid = process.pid if process else None
        self.code = None if process else CANNOT_START
        self.stopping = False
        self.deadline = float("inf")
        self._process = process
        self._folder = folder

    def stop(self, grace: float) -> None:
        """Asks it to save its work and end within `grace` seconds. It does not wait; asking twice changes nothing."""
        if self.poll() is None and not self.stopping:
            self.stopping = True
            self.deadline = time.monotonic() + grace
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # a frozen process could not hear it

    def kill(self) -> None:
        """Ends it now."""
        self.deadline = float("inf")
        self._signal(signal.SIGKILL)

    def poll(self) -> int | None:
        """Returns its code once its main process has ended, and ends what it left behind in its group."""
        if self._process is not None and self.code is None:
            try:
                ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:  # its group's number may be another's by now: nothing to kill
                self._process.wait()
                self._end(REAPED)
            else:
                if ended:
                    self._signal(signal.SIGKILL)  # before it is reaped: until then the number is its own
                    self._end(self._process.wait())
        return self.code

    @property
    def reason(self) -> Reason:
        """How it ended, once it has.

        Code 0 is finished, even when it was asked to stop: then it was done. Any other end after it was asked is
        preempted: it saved its work, was killed, or stumbled over the asking, which is no fault of its own. Any other
        end is failed.
        """
        if self.code == 0:
            return "finished"
        return "preempted" if self.stopping else "failed"

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is not None and self.code is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def _end(self, code: int) -> None:
        self.code = code
        if self.reason != "finished":
            note(self._folder, f"attempt {self.number} {self.reason}: {ending(code)}")


def launch(
    job: Job,
    accelerators: Sequence[Accelerator],
    folder: Path,
    number: int = 1,
    cwd: Path | None = None,
    tuning: Tuning | None = None,
) -> Attempt:
    """Starts the job's command on these accelerators, in a session and process group of its own.

    Its output is appended to `stdout.log` and `stderr.log` (mode 0600) in the folder; what it saves belongs into
    `checkpoint/` there, which later attempts find again. A command that cannot be started is an attempt that has ended
    with code 127, and the reason stands in `stderr.log`.

    Args:
        job: its `command` is an argument vector; no shell reads it.
        accelerators: those it may see; none for a CPU-only job, which then sees no GPU.
        folder: the job's own.
        number: 1 for the first attempt.
        cwd: where it runs, the current directory if None.
        tuning: how it is to use them.
    """
    try:
        (folder / "checkpoint").mkdir(parents=True, exist_ok=True, mode=0o700)
        with _log(folder, "stdout").open("ab") as out, _log(folder, "stderr").open("ab") as err:
            process = subprocess.Popen(
                job.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment(job, accelerators, folder, number, tuning),
                cwd=cwd,
                start_new_session=True,
            )
    except (OSError, ValueError, IndexError) as error:
        note(folder, f"attempt {number} failed: cannot start {' '.join(job.command)!r}: {error}")
        return Attempt(number, folder, None)
    return Attempt(number, folder, process)


def environment(
    job: Job, accelerators: Sequence[Accelerator], folder: Path, number: int, tuning: Tuning | None = None
) -> Mapping[str, str]:
    """Returns the variables of an attempt: this process's own, and those that stand at the head of this file."""
    visible = ",".join(a.id for a in accelerators)
    inherited = {key: value for key, value in os.environ.items() if key not in _SOMETIMES}
    emulated = {"GPUYARD_EMULATED": "1"} if any(a.emulated for a in accelerators) else {}
    return (
        inherited
        | emulated
        | told(tuning)
        | {
            "CUDA_VISIBLE_DEVICES": visible,
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "NVIDIA_VISIBLE_DEVICES": visible,
            "GPUYARD_JOB_ID": str(job.id),
            "GPUYARD_ATTEMPT": str(number),
            "GPUYARD_RESTARTS": str(number - 1),
            "GPUYARD_CHECKPOINT_DIR": str((folder / "checkpoint").absolute()),
        }
    )


def told(tuning: Tuning | None) -> dict[str, str]:
    """Returns the variables of a tuning, those that it says alone."""
    if tuning is None:
        return {}
    said = {
        "GPUYARD_PRECISION": tuning.precision,
        "GPUYARD_COMPILE": tuning.compile if tuning.compile is None else int(tuning.compile),
        "GPUYARD_BATCH": tuning.batch,
        "GPUYARD_WATTS": tuning.watts if tuning.watts is None else f"{tuning.watts:g}",
    }
    return {key: str(value) for key, value in said.items() if value is not None}


def note(folder: Path, text: str) -> None:
    """Adds a line of ours to the job's log, if that can be written at all."""
    with suppress(OSError), _log(folder, "stderr").open("a", encoding="utf-8") as log:
        log.write(f"gpuyard: {text}\n")


def ending(code: int) -> str:
    """Says an exit code in words."""
    if code in CHECKPOINTED:
        return f"checkpointed (exit code {code})"
    if code == REAPED:
        return "exit code unknown or 255"
    if code < 0:
        return f"killed by {_SIGNALS.get(-code, f'signal {-code}')}"
    return f"exit code {code}"


def _log(folder: Path, stream: str) -> Path:
    path = folder / f"{stream}.log"
    path.touch(mode=0o600)
    return path
