"""What ``wrs-mm bench plan``, ``run``, ``status`` and ``report`` do.

It belongs to the bench and not to :mod:`wrs_mm.cli`: here is the work of each verb without any parsing, for
whoever calls it from Python, tests among them.
"""

from __future__ import annotations

import errno
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from filelock import Timeout
from rich.console import Console

from wrs_mm.bench.executors import Executor
from wrs_mm.bench.executors.loop import run_all
from wrs_mm.bench.plan import resolve
from wrs_mm.bench.plan.backbones import STORE
from wrs_mm.bench.plan.checks import comparison_warnings
from wrs_mm.bench.plan.comparison import resolve_arms, resolve_pretraining_arms
from wrs_mm.bench.plan.display import show_plan
from wrs_mm.bench.plan.expansion import expand
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.recipes import find_plan
from wrs_mm.bench.runs.display import make_display
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.runs.status_table import watch_status
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.study import Study
from wrs_mm.errors import EXIT_INTERRUPTED, PlanError
from wrs_mm.files import write_text

if TYPE_CHECKING:
    from mmengine.config import Config

    from wrs_mm.bench.report.files import Report

_BROKEN = (Status.FAILED, Status.INTERRUPTED)
"""States in which a run may end, and which the same command takes up again."""

_WAIT_FOR_PREPARATION = 120.0
"""Seconds that another harness gets to write down its plan; it takes some configs a second."""


def plan(path: Path, measured: Path) -> int:
    """Show what ``run`` would train, with what is known beforehand from other runs of the same recipes.

    Args:
        path: The plan.
        measured: The work dir of those runs.

    Raises:
        PlanError: The plan cannot be used, or the folder is not the work dir of a benchmark.
    """
    from wrs_mm.bench.statistics.forecast import forecast

    return show_plan(path, lambda plan, given: forecast(plan, given, WorkDir(measured)))


def run(plan_path: Path, path: Path, make_executor: Callable[[], Executor]) -> int:
    """Bring every run of a plan to a result and print the table.

    Everything that can be wrong with the plan is looked for before the first run starts. Several
    calls may work on one work dir: each takes runs that no other has.

    Args:
        plan_path: The plan, a file or the name of one that the package carries.
        path: The work dir; results that it holds already are kept.
        make_executor: Makes the place where runs go.

    Returns:
        0 if nothing is left to do here, 1 if a run failed or was interrupted by somebody else, or the disk
        is full, 130 if this benchmark was interrupted.

    Raises:
        UsageError: The plan, a recipe, a dataset, the work dir or an option cannot be used.
    """
    plan = load_plan(plan_path)
    expand(plan)
    # Configs name the weights that are made here.
    work_dir = WorkDir(path, STORE)
    work_dir.check(plan.name)
    executor = make_executor()
    study = Study(plan, work_dir)
    try:
        # What is done needs no data here: it may have been made on another machine.
        undone = {run.spec.recipe for run in study.known() if not work_dir.run(run.spec).is_final()}
        if undone:
            executor.prepare()
        arms = resolve_arms(plan, study.resolver)
        arms = [*(arm for arm, _ in resolve_pretraining_arms(plan, study.resolver)), *arms]
        bases: dict[str, Config] = {}
        for arm in arms:
            if arm.spec.recipe in undone:
                resolve.require_data(arm.config, arm.spec.split)
                resolve.require_packages(arm.config)
                if arm.spec.start is None or arm.spec.start.pretraining is None:
                    bases.setdefault(arm.spec.recipe, arm.base)
        for base in bases.values():
            resolve.require_pretrained(base)
        study.pretrained()  # which asks for the weights of those that are made
        path.mkdir(parents=True, exist_ok=True)
        with _alone(work_dir):
            runs = study.prepare()
            # For the report: what was asked for, with its comments.
            write_text(work_dir.plan, find_plan(plan_path).read_text(encoding="utf-8"))
        for text in [*comparison_warnings(arms), *study.pretrained_otherwise(executor.processes)]:
            print(f"warning: {text}", file=sys.stderr)
        return _run(study, runs, executor)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(
            f"the disk that holds {path} is full; nothing that was done is lost: "
            "free some space and run the same command again",
            file=sys.stderr,
        )
        return 1


@contextmanager
def _alone(work_dir: WorkDir) -> Iterator[None]:
    """Keep other harnesses from making the folders of runs at the same time."""
    try:
        lock = work_dir.lock().acquire(timeout=_WAIT_FOR_PREPARATION)
    except Timeout:
        raise PlanError(
            f"another bench run has been preparing {work_dir.path} for minutes; try again"
        ) from None
    with lock:
        yield


def _run(study: Study, runs: list[Run], executor: Executor) -> int:
    work_dir, console = study.work_dir, Console()
    interrupted = False
    ours: dict[str, Run] = {}
    elsewhere: set[str] = set()
    try:
        with _sigterm_interrupts():
            for stage in _stages(study, runs):
                awaited = [run for run in stage if _is_awaited(run)]
                with make_display(stage, executor.slots, console) as display:
                    left = run_all(stage, executor, display, awaited, study.pretrained())
                elsewhere.update(run.name for run in left)
                ours.update({run.name: run for run in stage})
    except KeyboardInterrupt:
        interrupted = True
    finally:
        _report(work_dir, console)
    if interrupted:
        what = "where the runs were stopped"
        if executor.detached:
            what = "to watch the jobs, which go on (scancel ends them)"
        print(f"interrupted; the same command continues {what}", file=sys.stderr)
        return EXIT_INTERRUPTED
    broken = [run for run in ours.values() if run.name not in elsewhere and run.status() in _BROKEN]
    for one in broken:
        result = one.result()
        reason = result.account() if result else ""
        print(f"{one.name} {one.status().value}: {reason} (see {one.log})", file=sys.stderr)
    for line in [*study.complaints(), *study.not_pretrained()]:
        print(line, file=sys.stderr)
    if elsewhere:
        names = ", ".join(name for name in ours if name in elsewhere)
        print(
            f"no other run is free: another bench run has {names}; see wrs-mm bench status {work_dir.path}",
            file=sys.stderr,
        )
    return 1 if broken else 0


def _stages(study: Study, runs: list[Run]) -> Iterator[list[Run]]:
    """The runs, then those that are known since these have ended, and so on.

    Args:
        study: Whose runs they are.
        runs: The first ones, prepared.
    """
    said: set[str] = set()
    seen: set[tuple[str, int | None]] = set()
    # A trial that has been allowed to go on comes once more.
    while stage := [run for run in runs if (run.name, run.limit()) not in seen]:
        for label, line in study.chosen_lines().items():
            if label not in said:
                print(line, flush=True)
                said.add(label)
        seen.update((run.name, run.limit()) for run in stage)
        yield stage
        if study.plan.tuning is None:
            return
        with _alone(study.work_dir):
            runs = study.prepare()


def _is_awaited(run: Run) -> bool:
    """Whether others depend on a run: on a trial the final ones, on a pretraining all that start from it."""
    identity = run.identity()
    return identity is not None and (identity.spec.trial is not None or identity.spec.pretraining is not None)


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Let SIGTERM end the benchmark as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def status(path: Path, watch: bool | None = None) -> int:
    """Show what each run of a work dir is doing; tab-separated lines where there is no terminal.

    Args:
        path: The work dir; nothing is written there.
        watch: Go on showing until no run is left to end. None: on a terminal.

    Raises:
        PlanError: The folder is not the work dir of a benchmark.
    """
    work_dir = WorkDir(path)
    console = Console()
    watch_status(
        lambda: [work_dir.run(spec) for spec in work_dir.specs()],
        console,
        watch=console.is_terminal if watch is None else watch,
        to_come=work_dir.to_come,
    )
    return 0


def report(path: Path) -> int:
    """Write ``results.csv``, the tables and ``report.html`` again, and print the comparison.

    Raises:
        UsageError: The folder is not the work dir of a benchmark, or the packages that draw the page are
            not installed.
    """
    from wrs_mm.bench.report.page import require_packages, write_page

    require_packages()
    work_dir, console = WorkDir(path), Console()
    content = _report(work_dir, console, with_images=True)
    for note in content.notes:
        print(f"note: {note}", file=sys.stderr)
    console.print(f"{write_page(content)}", markup=False, highlight=False)
    return 0


def _report(work_dir: WorkDir, console: Console, with_images: bool = False) -> Report:
    from wrs_mm.bench.report.files import collect, write_tables
    from wrs_mm.bench.report.formats import to_lines
    from wrs_mm.terminal import console_width, print_lines

    content = collect(work_dir, with_images, lambda line: print(line, file=sys.stderr))
    write_tables(content)
    for table in content.comparison():
        print_lines(console, to_lines(table, console_width(console)))
        console.print(f"{table.caption}\n", markup=False, highlight=False)
    console.print(f"{work_dir.table}", markup=False, highlight=False)
    return content
