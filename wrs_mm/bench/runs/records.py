"""What a run's files say: plain data, checked when it is read."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.values import one_line


class Status(StrEnum):
    """The state of a run.

    A trial is ``paused`` where it waits for the others of its arm, and ``stopped`` where those were better.
    """

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    DIVERGED = "diverged"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    PAUSED = "paused"
    STOPPED = "stopped"

    @property
    def final(self) -> bool:
        """Whether a result with it is final, and the run must not be repeated."""
        return self in (Status.DONE, Status.DIVERGED, Status.STOPPED)


class Progress(BaseModel):
    """How far a run is; rewritten while it trains.

    Attributes:
        phase: ``starting``, ``training``, ``validating`` or ``testing``.
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


class StartNorms(BaseModel):
    """What the norms of all filters of a backbone's convolutions were.

    Attributes:
        least: The smallest.
        median: Their median.
        most: The largest.
    """

    model_config = ConfigDict(extra="forbid")

    least: float
    median: float
    most: float


class Result(BaseModel):
    """What came out of a run.

    Attributes:
        status: ``done``, ``diverged``, ``stopped``, ``failed``, ``interrupted`` or ``paused``.
        task: ``detection``, ``segmentation`` or ``classification``.
        dataset: Name of the validation data.
        metrics: Of the last checkpoint on tune, the validation data; AP, AR, IoU and accuracies in percent.
        test: Of the last checkpoint on test, likewise; empty where the run's split is tune.
        best: The best validation; None if no metric says which one that is.
        start_norms: The norms of the filters that its backbone began with; None where the plan does not say
            where it starts.
        predictions: Folder of the last checkpoint's predictions on the run's split, relative to the run's.
        limit: Of a paused run, after how many iterations or epochs, whichever the recipe counts.
        iteration: Updates done; for ``diverged``, the one at which the loss, or a weight, was not finite.
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
    test: dict[str, float] = {}
    best: Best | None = None
    start_norms: StartNorms | None = None
    predictions: str | None = None
    limit: int | None = None
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

    def account(self) -> str:
        """The reason, and the end of the log where that says more: a killed process has no other word."""
        reason = self.reason or ""
        last = next((one_line(line) for line in reversed(self.log_tail) if line.strip()), "")
        if not last or last in reason or (reason and reason in last):
            return reason
        return f"{reason}; its log ends with: {last}" if reason else last


class Identity(BaseModel):
    """``run.json``: what a run is, written before it starts."""

    model_config = ConfigDict(extra="forbid")

    spec: RunSpec
    task: str
    dataset: str
    config_hash: str
