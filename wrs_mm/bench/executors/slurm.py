"""Runs on a Slurm cluster: one job a run, submitted through submitit.

Slurm schedules; this file only submits, and looks at ``squeue``. A job that Slurm takes back is put
into its queue again, by Slurm or by submitit (on SIGUSR2, which Slurm sends before it takes a job
back or the time is up), under the same number, and then goes on from its last checkpoint.

Jobs belong to the cluster: they go on when the harness ends, however that happens, and a harness
that finds a run's job in the queue waits for that one. They are recognized by their names, so there
is nothing to write down that could be lost.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wrs_mm.bench.executors import Ended
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.signals import ending
from wrs_mm.errors import OptionError

_LOOK_EVERY = 5.0
"""Seconds between two calls of ``squeue``."""

_PATIENCE = 10.0
"""Seconds for which a job must be seen to have ended: one that is put back looks so for a moment, and a
file written on another machine takes a while to be seen."""

_TAKEN = {"BOOT_FAIL", "CANCELLED", "DEADLINE", "NODE_FAIL", "PREEMPTED", "REVOKED", "TIMEOUT"}
"""States in which Slurm, or somebody, has ended a job before it was through."""

_ENDED = {"COMPLETED", "FAILED", "OUT_OF_MEMORY", *_TAKEN}

_MINUTES = 24 * 60
"""Time limit of a job, where none is given."""

_TIMEOUTS = 1000
"""How often a job that has reached its time limit goes on in another."""

_SETUP = (
    "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}",
    "export PYTHONHASHSEED=0 PYTHONUNBUFFERED=1 CUBLAS_WORKSPACE_CONFIG=:4096:8",
)
"""As on one machine, see :mod:`wrs_mm.bench.executors.local`."""


class _SlurmWork:
    """What a job does: submitit's «checkpointable» function.

    Args:
        folder: The run's folder, seen by all nodes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> int:
        """Work on the run; each of the job's processes calls it."""
        from wrs_mm.bench.runs.machine import rank
        from wrs_mm.bench.runs.worker import main

        launcher = "slurm" if int(os.environ.get("SLURM_NTASKS") or 1) > 1 else "none"
        if launcher == "none" or rank() == 0:
            with Run(self.folder).log.open("ab") as log:
                for stream in (1, 2):
                    os.dup2(log.fileno(), stream)
        return main(self.folder, launcher)

    def checkpoint(self) -> Any:
        """What goes into the queue again: the same, because a run finds its own checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


class Queue:
    """This user's jobs, as ``squeue`` lists them."""

    def __init__(self) -> None:
        self._looked = -float("inf")
        self._jobs: dict[str, tuple[str, str]] = {}

    def jobs(self) -> Mapping[str, tuple[str, str]]:
        """State and name of each job by its number; finished ones for some minutes."""
        now = time.monotonic()
        if now - self._looked >= _LOOK_EVERY:
            self._looked = now
            command = ["squeue", "--noheader", "--states=all", "--format=%i|%T|%j"]
            listed = subprocess.run(
                [*command, f"--user={getpass.getuser()}"], capture_output=True, text=True, check=False
            )
            # Where Slurm does not answer, what it said before holds.
            if listed.returncode == 0:
                rows = (line.split("|", 2) for line in listed.stdout.splitlines())
                self._jobs = {number: (state, name) for number, state, name in rows}
        return self._jobs

    def forget(self) -> None:
        """Call ``squeue`` at the next look: there is a new job."""
        self._looked = -float("inf")


class SlurmJob:
    """A job of Slurm.

    Args:
        number: Its number.
        queue: Where it stands.
    """

    def __init__(self, number: str, queue: Queue) -> None:
        self.number = number
        self._queue = queue
        self._over_since: float | None = None

    def ended(self) -> Ended | None:
        """How it ended; None while it waits, runs or has been put back."""
        state = self._queue.jobs().get(self.number, ("", ""))[0]
        if state and state not in _ENDED:
            self._over_since = None
            return None
        now = time.monotonic()
        self._over_since = self._over_since or now
        if now - self._over_since < _PATIENCE:
            return None
        how = f"Slurm job {self.number} ended without a result ({state or 'no longer listed'})"
        if state == "FAILED":
            how = f"{how}{self._exit()}"
        return Ended(how, interrupted=state in _TAKEN)

    def _exit(self) -> str:
        """How its process ended, with a colon before it; nothing where Slurm does not know it any more."""
        command = ["scontrol", "--oneliner", "show", "job", self.number]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        found = re.search(r"\bExitCode=(\d+):(\d+)", shown)
        if found is None:
            return ""
        status, number = map(int, found.groups())
        return f": {ending(-number or status)}"

    def stop(self) -> None:
        """Cancel it."""
        subprocess.run(["scancel", self.number], capture_output=True, check=False)

    def kill(self) -> None:
        """Cancel it, unless it has ended; Slurm ends its processes."""
        if self.ended() is None:
            self.stop()


class SlurmExecutor:
    """A Slurm cluster.

    Args:
        parameters: Options of sbatch that submitit names: ``partition``, ``time`` (minutes),
            ``nodes``, ``tasks_per_node``, ``gpus_per_node``, ``cpus_per_task``, ``mem``, …
        options: Other options of sbatch; True for one without a value.
        jobs: Runs in the queue at once; None for all.

    Raises:
        OptionError: There is no Slurm here, or no submitit.
    """

    detached = True

    def __init__(
        self, parameters: Mapping[str, Any], options: Mapping[str, str | bool], jobs: int | None = None
    ) -> None:
        if shutil.which("sbatch") is None:
            raise OptionError("--executor slurm: there is no sbatch here; call from a machine of the cluster")
        try:
            import submitit  # noqa: F401
        except ImportError:
            raise OptionError("--executor slurm needs submitit: pip install 'wrs-mm[slurm]'") from None
        self.parameters = dict(parameters)
        gpus = self.parameters.get("gpus_per_node", 1)
        self.parameters["ntasks_per_node"] = self.parameters.pop("tasks_per_node", gpus)
        self.processes = int(self.parameters.get("nodes", 1)) * int(self.parameters["ntasks_per_node"])
        self.parameters.setdefault("time", _MINUTES)
        self._options = dict(options)
        self._jobs = jobs
        self._queue = Queue()

    @property
    def slots(self) -> int:
        """Runs in the queue at once."""
        return self._jobs or sys.maxsize

    def prepare(self) -> None:
        """Nothing: jobs start on other machines."""

    def submit(self, run: Run) -> SlurmJob:
        """Submit a job for a run, or find the one that is in the queue.

        Raises:
            OptionError: Slurm refuses the job.
        """
        name = _job_name(run)
        for number, (state, listed) in self._queue.jobs().items():
            if listed == name and state not in _ENDED:
                return SlurmJob(number, self._queue)
        return SlurmJob(self._submit(run, name), self._queue)

    def _submit(self, run: Run, name: str) -> str:
        import submitit

        folder = run.folder.resolve()
        slurm = submitit.SlurmExecutor(folder / "slurm", max_num_timeout=_TIMEOUTS)
        try:
            slurm.update_parameters(
                **self.parameters,
                job_name=name,
                setup=list(_SETUP),
                additional_parameters={"requeue": True, **self._options},
            )
            job = slurm.submit(_SlurmWork(folder))
        except (submitit.core.utils.FailedJobError, subprocess.CalledProcessError) as error:
            lines = [line for line in str(error).splitlines() if "error" in line.lower()]
            raise OptionError(
                f"Slurm refused the job of {run.name}: {lines[-1] if lines else error}"
            ) from error
        self._queue.forget()
        return job.job_id

    def wait(self, seconds: float) -> None:
        """Wait so long; jobs end far away."""
        time.sleep(max(seconds, min(1.0, _LOOK_EVERY)))


def _job_name(run: Run) -> str:
    """The name of a run's job: readable, and of this folder alone."""
    digest = hashlib.sha256(str(run.folder.resolve()).encode()).hexdigest()[:12]
    return f"{run.name[:60]}-{digest}"
