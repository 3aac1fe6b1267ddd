"""What the harness costs beside its runs, and what starting a run costs: in seconds of the CPU."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from benches import BENCH, Bench
from commands import finish, run, succeed, wait_until

HELPERS = Path(__file__).parents[1] / "helpers"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="counts orphans as only Linux can"),
]


def cpu_seconds(bench: Bench, *command: str) -> float:
    """Run a command in the bench's folder to its end; what it and all its processes took."""
    file = bench.folder / "seconds"
    paths = os.pathsep.join([str(HELPERS), os.environ.get("PYTHONPATH", "")])
    environment = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    counter = [sys.executable, HELPERS / "cpu_time.py", file]
    succeed(run([*counter, *command], cwd=bench.folder, environment=environment))
    return float(file.read_text())


def prepared(bench: Bench, work_dir: str, last: str) -> Path:
    """The folder of a run that is prepared and not trained: the harness is stopped at once."""
    process = bench.start("--jobs", "1", work_dir=work_dir)
    folder = bench.run_folder(last, work_dir)
    wait_until((folder / "run.json").exists, process, "the runs are prepared")
    process.terminate()
    finish(process)
    return folder


@pytest.mark.timeout(3600)
def test_six_short_runs_cost_less_than_in_processes_of_their_own(bench: Bench) -> None:
    # Most of a run this short is start-up, which forking saves.
    bench.recipe("short", iterations=20)
    bench.plan("short", regularizers="[none, wd]", seeds="[0, 1, 2]")
    folder = prepared(bench, "alone", "short__wd__seed2")
    one = cpu_seconds(bench, sys.executable, "-m", "wrs_mm.bench.runs.worker", str(folder))
    together = cpu_seconds(bench, *BENCH, "run", "plan.yaml", "--work-dir", "work", "--jobs", "1")
    print(f"6 runs: {together:.1f} s of the CPU, {together / (6 * one):.2f} of 6 in their own processes")
    assert bench.result("short__wd__seed2", "alone").status.value == "done"
    assert len(list(bench.folder.glob("work/runs/*/result.json"))) == 6
    assert together <= 0.7 * 6 * one


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, anew=True)
