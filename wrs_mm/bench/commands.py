"""The commands ``wrs-mm bench run``, ``status`` and ``report``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from filelock import Timeout
from rich.console import Console

from wrs_mm.bench import recipes, results
from wrs_mm.bench import report as reports
from wrs_mm.bench.display import make_display, status_rows, status_table
from wrs_mm.bench.executors.local import LocalExecutor
from wrs_mm.bench.harness import run_all
from wrs_mm.bench.plan import RunSpec, expand, find_recipe, load_plan
from wrs_mm.bench.runs import Identity, Run, Status, WorkDir, config_hash
from wrs_mm.datasets.layout import require_dataset
from wrs_mm.errors import PlanError

INTERRUPTED = 130
"""Exit status of an interrupted benchmark: 128 + SIGINT."""


def run(plan_path: Path, path: Path, jobs: int | None = None) -> int:
    """Bring every run of a plan to a result and print the table.

    Everything that can be wrong with the plan is looked for before the first run starts.

    Args:
        plan_path: The plan.
        path: The work dir; results that it holds already are kept.
        jobs: Runs at once; None lets the executor choose.

    Returns:
        0 if every run is done or diverged, 1 if one failed, 130 if interrupted.

    Raises:
        UsageError: The plan, a recipe, a dataset or the work dir cannot be used.
    """
    plan = load_plan(plan_path)
    specs = expand(plan)
    work_dir = WorkDir(path)
    work_dir.check(plan.name)
    path.mkdir(parents=True, exist_ok=True)
    try:
        with work_dir.lock().acquire(timeout=0):
            runs = _prepare(work_dir, plan.name, specs, plan_path.parent)
            return _run(work_dir, runs, jobs)
    except Timeout:
        raise PlanError(
            f"another bench run is working on {path}; wait for it, or use another --work-dir"
        ) from None


def _prepare(work_dir: WorkDir, name: str, specs: Sequence[RunSpec], folder: Path) -> list[Run]:
    """Resolve all configs, then make the runs' folders.

    All configs come first, so that a mistake in the last of them leaves the work dir as it was.
    """
    resolved = []
    for spec in specs:
        config = recipes.resolve(spec, find_recipe(spec.recipe, folder))
        require_dataset(config)
        identity = Identity(
            spec=spec,
            task=recipes.task(config),
            dataset=recipes.dataset_name(config),
            config_hash=config_hash(config.to_dict()),
        )
        resolved.append((work_dir.run(spec), identity, config.pretty_text))
    for one, identity, _ in resolved:
        one.check(identity)
    work_dir.adopt(name, list(specs))
    for one, identity, text in resolved:
        one.prepare(identity, text)
    return [one for one, _, _ in resolved]


def _run(work_dir: WorkDir, runs: Sequence[Run], jobs: int | None) -> int:
    console = Console()
    executor = LocalExecutor(jobs)
    interrupted = False
    try:
        with _sigterm_interrupts(), make_display(runs, executor.slots, console) as display:
            run_all(runs, executor, display)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        _report(work_dir, console)
    if interrupted:
        print("interrupted; the same command continues where the runs were stopped", file=sys.stderr)
        return INTERRUPTED
    failed = [run for run in runs if run.status() is Status.FAILED]
    for one in failed:
        result = one.result()
        reason = result.reason if result else ""
        print(f"{one.name} failed: {reason} (see {one.log})", file=sys.stderr)
    return 1 if failed else 0


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


def status(path: Path) -> int:
    """Print what each run of a work dir is doing; tab-separated lines where there is no terminal.

    Raises:
        PlanError: The folder is not the work dir of a benchmark.
    """
    work_dir = WorkDir(path)
    runs = [work_dir.run(spec) for spec in work_dir.specs()]
    console = Console()
    if console.is_terminal:
        console.print(status_table(runs))
    else:
        for row in status_rows(runs):
            print("\t".join(row))
    return 0


def report(path: Path) -> int:
    """Write ``results.csv`` and the tables again, and print them.

    Raises:
        PlanError: The folder is not the work dir of a benchmark.
    """
    _report(WorkDir(path), Console())
    return 0


def _report(work_dir: WorkDir, console: Console) -> None:
    summary = reports.write_report(work_dir, results.gather_work_dir(work_dir))
    for table in reports.to_rich(summary):
        console.print(table)
    console.print(reports.caption(summary), markup=False, highlight=False)
    console.print(f"{work_dir.path / 'table.md'}", markup=False, highlight=False)
