"""A run on disk: its folder, its states, its result, and its config.

A run's folder holds ``run.json`` (what it is), ``config.py`` (fully resolved), ``train.log``,
``progress.json``, ``validations.json`` and, where it reports test, ``train_validations.json`` while it
trains, checkpoints, and at its end ``result.json``; a pretraining has ``backbone.pt`` by then. A result of
``done`` or ``diverged`` is final; ``failed`` and ``interrupted`` runs are taken up again from their last good
checkpoint. The named end states
are benchopt's idea: no outcome is a lost exception.

Two locks, which the operating system takes back from a process that is killed: the run's process
holds ``.lock`` while it lives, and the ``bench run`` that looks after a run holds ``.claim``.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import deque
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import ValidationError

from wrs_mm.bench.plan.backbones import WEIGHTS
from wrs_mm.bench.runs.records import Identity, Progress, Result, Status
from wrs_mm.errors import PlanError
from wrs_mm.files import write_json, write_text

_LOG_TAIL = 50
"""How many of its last log lines a failed run keeps in its result."""


class Run:
    """One run's folder.

    Args:
        folder: The folder; :meth:`prepare` makes it.
        name: What it is called; None for the folder's name.
        after: The pretraining of the plan that it starts from, if any.

    Attributes:
        folder: The folder.
        name: The run's id.
        after: The pretraining that it starts from; None where it starts from none of the plan's.
    """

    def __init__(self, folder: Path, name: str | None = None, after: Run | None = None) -> None:
        self.folder = folder
        self.name = name or folder.name
        self.after = after
        self.config = folder / "config.py"
        self.log = folder / "train.log"
        self._identity = folder / "run.json"
        self._progress = folder / "progress.json"
        self.validations = folder / "validations.json"
        self.train_validations = folder / "train_validations.json"
        self._result = folder / "result.json"
        self._limit = folder / "limit.json"
        self.weights = folder / WEIGHTS

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
        return _read_record(self._identity, Identity)

    def result(self) -> Result | None:
        """The result, if there is one."""
        return _read_record(self._result, Result)

    def is_final(self) -> bool:
        """Whether there is a final result, so that the run must not be repeated."""
        result = self.result()
        return result is not None and result.status.final

    def limit(self) -> int | None:
        """After how many iterations or epochs, whichever the recipe counts, it is to pause; None: never."""
        try:
            limit: int | None = json.loads(self._limit.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return limit

    def set_limit(self, limit: int | None) -> None:
        """Say how far it may train; a run that waits at an earlier limit is then no longer through."""
        if limit == self.limit():
            return
        if limit is None:
            self._limit.unlink(missing_ok=True)
        else:
            write_json(self._limit, limit)

    def stop(self, reason: str) -> None:
        """Make a run that is paused a stopped one."""
        result = self.result()
        if result is not None and result.status is Status.PAUSED:
            self.write_result(result.model_copy(update={"status": Status.STOPPED, "reason": reason}))

    def unstop(self) -> None:
        """Make a run that was stopped a paused one again."""
        result = self.result()
        if result is not None and result.status is Status.STOPPED:
            paused = result.model_copy(update={"status": Status.PAUSED, "reason": None})
            write_json(self._result, paused.model_dump(mode="json"))

    def is_through(self) -> bool:
        """Whether there is nothing to do for it now: it has a final result, or waits where it is to pause."""
        result = self.result()
        if result is None or result.status is not Status.PAUSED:
            return result is not None and result.status.final
        return result.limit == self.limit()

    def cannot_begin(self) -> bool:
        """Whether it has not begun and, since its pretraining failed, will not."""
        return (
            self.after is not None
            and self.status() is Status.PENDING
            and self.after.status() is Status.FAILED
        )

    def progress(self) -> Progress:
        """How far the run is."""
        return _read_record(self._progress, Progress) or Progress()

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
        """What distinguishes a result file from another that replaced it; None without one."""
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
            return [line.rstrip("\n") for line in deque(file, maxlen=_LOG_TAIL)]


def _read_record(path: Path, model: type[Any]) -> Any:
    """What a file of a run says, None if absent. Such files are whole or absent: damage is an error."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return model.model_validate_json(text)
    except ValidationError:
        raise PlanError(f"{path} is damaged or of another version; delete its folder") from None
