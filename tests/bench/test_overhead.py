"""What the harness costs beside its runs, and what starting a run costs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benches import Bench

pytestmark = pytest.mark.slow


def alone(bench: Bench, name: str) -> tuple[float, float]:
    """Seconds of a run in a process of its own, and of its start-up, imports included."""
    folder = bench.run_folder(name, "alone")
    began = time.monotonic()
    worker = subprocess.Popen(
        [sys.executable, "-m", "wrs_mm.bench.runs.worker", str(folder)],
        cwd=bench.folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "helpers"), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,  # the worker ends when this closes
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert worker.wait() == 0
    starting = bench.result(name, "alone").seconds_starting
    assert starting is not None
    return time.monotonic() - began, starting


def unfinished(bench: Bench, work_dir: str, last: str) -> None:
    """A work dir whose runs are prepared, and the last one not trained: the harness is stopped at once."""
    process = bench.start("--jobs", "1", work_dir=work_dir)
    while not (bench.run_folder(last, work_dir) / "run.json").exists() and process.poll() is None:
        time.sleep(0.05)
    process.terminate()
    process.communicate(timeout=120)


@pytest.mark.timeout(900)
def test_twelve_short_runs_cost_little_more_than_their_own_time(bench: Bench) -> None:
    # The bound is the issue's; most of a run this short is start-up, which the harness saves.
    bench.recipe("short", iterations=20)
    bench.plan("short", regularizers="[none, wd]", seeds="[0, 1, 2, 3, 4, 5]")
    unfinished(bench, "alone", "short__wd__seed5")
    one, start_alone = alone(bench, "short__wd__seed5")
    began = time.monotonic()
    bench.run("--jobs", "1")
    together = time.monotonic() - began
    results = [bench.result(path.parent.name) for path in bench.folder.glob("work/runs/*/result.json")]
    starts = sorted(result.seconds_starting or 0 for result in results)
    own = sum(result.seconds for result in results)
    print(
        f"12 runs: {together:.1f} s, {together / (12 * one):.2f} of 12 in processes of their own; "
        f"own time {own:.1f} s; start-up {start_alone:.1f} s alone, {starts[6]:.1f} s forked (median)"
    )
    assert len(results) == 12
    assert together <= 1.15 * 12 * one
    assert starts[6] < start_alone / 2


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
