"""A run on disk: its folder, its states, its result, and its config.

A run's folder holds ``run.json`` (what it is), ``config.py`` (fully resolved), ``train.log``,
``progress.json`` and ``validations.json`` while it trains, checkpoints, and at its end
``result.json``. A result of ``done`` or ``diverged`` is final; ``failed`` and ``interrupted`` runs
are taken up again from their last good checkpoint. The named end states are benchopt's idea: no
outcome is a lost exception.

Two locks, which the operating system takes back from a process that is killed: the run's process
holds ``.lock`` while it lives, and the ``bench run`` that looks after a run holds ``.claim``.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections import deque
from enum import Enum
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.errors import PlanError
from wrs_mm.files import write_json, write_text

LOG_TAIL = 50
"""How many of its last log lines a failed run keeps in its result."""


class Status(str, Enum):
    """The state of a run."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    DIVERGED = "diverged"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def final(self) -> bool:
        """Whether the run is a result and must not be repeated."""
        return self in (Status.DONE, Status.DIVERGED)


class Progress(BaseModel):
    """How far a run is; rewritten while it trains.

    Attributes:
        phase: ``starting``, ``training`` or ``validating``.
        iteration: Updates done.
        iterations: Updates in all; 0 while unknown.
        loss: The latest training loss.
        metric: Name of the metric that the run is followed by, once there was a validation.
        value: Its value at the last validation, in percent.
        threads: CPU threads of its first attempt: later ones use as many, because sums depend on
            it in their last bits.
        seconds: Wall time spent on the run so far, over all its attempts.
        seconds_left: Estimate for the rest of the training, without validation; None at first.
    """

    model_config = ConfigDict(extra="forbid")

    phase: str = "starting"
    iteration: int = 0
    iterations: int = 0
    loss: float | None = None
    metric: str | None = None
    value: float | None = None
    threads: int | None = None
    seconds: float = 0.0
    seconds_left: float | None = None


class Best(BaseModel):
    """The validation at which a run was best, of all that it made.

    Attributes:
        metrics: What was measured then, in percent.
        iteration: Updates done then.
        key: The metric that says which one is best: that of the recipe's ``save_best``, or else the
            main one of the task.
    """

    model_config = ConfigDict(extra="forbid")

    metrics: dict[str, float]
    iteration: int
    key: str


class Result(BaseModel):
    """What came out of a run.

    Attributes:
        status: ``done``, ``diverged``, ``failed`` or ``interrupted``.
        task: ``detection`` or ``segmentation``.
        dataset: Name of the validation data.
        metrics: Of the last checkpoint; AP, AR, IoU and accuracies in percent.
        best: The best validation; None if no metric says which one that is.
        predictions: Folder of the predictions of the last validation, relative to the run's.
        iteration: Updates done; for ``diverged``, the one whose loss was not finite.
        reason: Why the run is not done, in one line.
        log_tail: The last lines of a failed run's log.
        seconds: Wall time over all attempts.
        seconds_starting: Of it, what the last attempt took until its first update.
        started: When the last attempt began (UTC, ISO 8601).
        ended: When it ended.
        peak_memory: MiB that the (first) process of the last attempt held at most: of the GPU where
            there is one, else of the machine.
        processes: How many trained together.
        config_hash: SHA-256 of the resolved config.
        threads: CPU threads that the run used; sums depend on it in their last bits.
        device: ``cpu`` or the GPU's name.
        versions: Of the packages that matter.
    """

    model_config = ConfigDict(extra="forbid")

    status: Status
    task: str = ""
    dataset: str = ""
    metrics: dict[str, float] = {}
    best: Best | None = None
    predictions: str | None = None
    iteration: int = 0
    reason: str | None = None
    log_tail: list[str] = []
    seconds: float = 0.0
    seconds_starting: float | None = None
    started: str = ""
    ended: str = ""
    peak_memory: float | None = None
    processes: int = 1
    config_hash: str = ""
    threads: int | None = None
    device: str = ""
    versions: dict[str, str] = {}


class Identity(BaseModel):
    """``run.json``: what a run is, written before it starts."""

    model_config = ConfigDict(extra="forbid")

    spec: RunSpec
    task: str
    dataset: str
    config_hash: str


class Run:
    """One run's folder.

    Args:
        folder: The folder; :meth:`prepare` makes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.py"
        self.log = folder / "train.log"
        self._identity = folder / "run.json"
        self._progress = folder / "progress.json"
        self.validations = folder / "validations.json"
        self._result = folder / "result.json"

    @property
    def name(self) -> str:
        """The folder's name: the run's id."""
        return self.folder.name

    def check(self, identity: Identity) -> None:
        """Check that the folder is free for, or already holds, this run.

        Raises:
            PlanError: It holds training of another config.
        """
        before = self.identity()
        if before is None or before.config_hash == identity.config_hash:
            return
        if self.result() is not None or any(self.folder.glob("*.pth")):
            raise PlanError(
                f"{self.folder} was trained with another config than the plan now gives; delete "
                "that folder to train it again, or use another --work-dir"
            )

    def prepare(self, identity: Identity, config_text: str) -> None:
        """Write what the run is, unless that is what the folder already holds.

        Args:
            identity: What the run is.
            config_text: Its resolved config, as Python.

        Raises:
            PlanError: The folder holds training of another config.
        """
        self.check(identity)
        kept = self.config.read_text(encoding="utf-8") if self.config.exists() else ""
        if self.identity() == identity and kept == config_text:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.config, config_text)
        write_json(self._identity, identity.model_dump(mode="json"))

    def identity(self) -> Identity | None:
        """What the run is; None before :meth:`prepare`."""
        return _read(self._identity, Identity)

    def result(self) -> Result | None:
        """The result, if there is one."""
        return _read(self._result, Result)

    def is_final(self) -> bool:
        """Whether there is a result that must not be repeated."""
        result = self.result()
        return result is not None and result.status.final

    def progress(self) -> Progress:
        """How far the run is."""
        return _read(self._progress, Progress) or Progress()

    def write_result(self, result: Result) -> None:
        """Write the result, once per attempt.

        Raises:
            RuntimeError: There is a final result already.
        """
        before = self.result()
        if before is not None and before.status.final:
            raise RuntimeError(f"{self.folder} already has a result")
        write_json(self._result, result.model_dump(mode="json"))

    def write_progress(self, progress: Progress) -> None:
        """Replace the progress file."""
        write_json(self._progress, progress.model_dump(mode="json"))

    def result_stamp(self) -> tuple[int, int] | None:
        """Tells one result file from another that replaced it; None without one."""
        try:
            stat = os.stat(self._result)
        except FileNotFoundError:
            return None
        return stat.st_mtime_ns, stat.st_ino

    def clear_result(self) -> None:
        """Forget the outcome of an attempt that did not finish; another one begins."""
        self._result.unlink(missing_ok=True)

    def lock(self) -> FileLock:
        """The lock that a run's process holds while it lives."""
        return FileLock(self.folder / ".lock")

    def claim(self) -> FileLock:
        """The lock that a ``bench run`` holds while it looks after the run."""
        return FileLock(self.folder / ".claim")

    def is_running(self) -> bool:
        """Whether a process works on this run. Writes nothing, and needs no right to write."""
        try:
            descriptor = os.open(self.folder / ".lock", os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def status(self) -> Status:
        """The state, from the folder alone."""
        result = self.result()
        if result is not None and result.status.final:
            return result.status
        if self.is_running():
            return Status.RUNNING
        if result is not None:
            return result.status
        # A process that was killed outright leaves progress and no result.
        return Status.INTERRUPTED if self._progress.exists() else Status.PENDING

    def log_tail(self) -> list[str]:
        """The last lines of the log, without their line ends."""
        if not self.log.exists():
            return []
        with self.log.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=LOG_TAIL)]


def _read(path: Path, model: type[Any]) -> Any:
    """Read a file of a run, None if absent. Such files are whole or absent: damage is an error."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return model.model_validate_json(text)
    except ValidationError:
        raise PlanError(f"{path} is damaged or of another version; delete its folder") from None


class WorkDir:
    """A benchmark's folder: ``plan.json`` and ``runs/``.

    Args:
        path: The folder. Nothing is made before :meth:`adopt`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._plan = path / "plan.json"

    def check(self, name: str) -> None:
        """Check that this folder may hold the benchmark ``name``.

        Raises:
            PlanError: It holds another benchmark, or other files.
        """
        if self.path.exists() and not self.path.is_dir():
            raise PlanError(f"{self.path} is a file; give a folder as --work-dir")
        if self._plan.exists():
            owner = self._load()[0]
            if owner != name:
                raise PlanError(
                    f"{self.path} belongs to the plan {owner!r}, not {name!r}; use another --work-dir"
                )
        elif self.path.exists() and any(p.name != ".lock" for p in self.path.iterdir()):
            raise PlanError(f"{self.path} holds other files; use an empty or a new --work-dir")

    def adopt(self, name: str, specs: list[RunSpec]) -> None:
        """Write down which runs belong to the benchmark now."""
        content = {"name": name, "runs": [spec.model_dump(mode="json") for spec in specs]}
        write_json(self._plan, content)

    def _load(self) -> tuple[str, list[RunSpec]]:
        try:
            content = json.loads(self._plan.read_text(encoding="utf-8"))
            return content["name"], [RunSpec.model_validate(run) for run in content["runs"]]
        except FileNotFoundError:
            raise PlanError(
                f"{self.path} is not the work dir of a benchmark; give that of a bench run"
            ) from None
        except (OSError, ValueError, KeyError, TypeError):
            raise PlanError(f"{self._plan} is damaged; run `wrs-mm bench run` again") from None

    @property
    def name(self) -> str:
        """The plan's name."""
        return self._load()[0]

    def specs(self) -> list[RunSpec]:
        """The runs that belong to the benchmark."""
        return self._load()[1]

    def run(self, spec: RunSpec) -> Run:
        """The folder of one run."""
        return Run(self.path / "runs" / spec.id)

    def lock(self) -> FileLock:
        """The lock that `bench run` holds."""
        return FileLock(self.path / ".lock")


def config_hash(content: dict[str, Any]) -> str:
    """SHA-256 of a resolved config's content, whatever the order of its keys."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): plain(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(entry) for entry in value]
        return value if isinstance(value, (str, int, float, type(None))) else repr(value)

    return hashlib.sha256(json.dumps(plain(content), sort_keys=True).encode()).hexdigest()
