"""What a benchmark costs beside its runs: the table of docs/benchmark.md.

    python tools/perf/harness_cost.py [--into docs/benchmark.md]

Runs the mini segmentor for a few updates, twelve times, one run at a time, once as a benchmark and once in a
process of its own, on data that it renders. Seconds of the clock: run it where nothing else runs.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml
from marked import print_or_write, require_place

from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Status
from wrs_mm.datasets import render_mini

RECIPE = "mini/pspnet_r18-narrow_mini-cityscapes"
CLI = [sys.executable, "-m", "wrs_mm.cli"]


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock.

    Attributes:
        alone: A run in a process of its own, from its start to its end.
        alone_starting: Of it, until the first update.
        total: The benchmark, from its start to its end.
        runs: All runs' own times in it, from fork to result.
        starting: The mean run's, until its first update.
        before: Until the first run: imports, the plan's configs.
        between: The mean time from a run's result to the next run's fork.
        after: From the last result to the end: the tables.
    """

    alone: float
    alone_starting: float
    total: float
    runs: float
    starting: float
    before: float
    between: float
    after: float


def spans(work_dir: Path) -> list[tuple[float, float, float]]:
    """When each run began and ended, seconds since 1970, and how long it took to its first update."""
    found = []
    for file in work_dir.glob("runs/*/result.json"):
        result = Run(file.parent).result()
        if result is None or result.status is not Status.DONE or result.seconds_starting is None:
            raise SystemExit(f"{file.parent} has not been trained: {result and result.account()}")
        ended = file.stat().st_mtime
        found.append((ended - result.seconds, ended, result.seconds_starting))
    return sorted(found)


def cost(runs: list[tuple[float, float, float]], began: float, ended: float) -> dict[str, float]:
    """What a benchmark took, from its runs' spans."""
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(runs)]
    return {
        "total": ended - began,
        "runs": sum(end - start for start, end, _ in runs),
        "starting": sum(starting for *_, starting in runs) / len(runs),
        "before": runs[0][0] - began,
        "between": sum(gaps) / len(gaps),
        "after": ended - runs[-1][1],
    }


def measure(folder: Path, count: int, updates: int, recipe: str = RECIPE) -> Cost:
    """Run the benchmark, and one of its runs by itself, in a folder."""
    schedule = {"train_cfg": {"max_iters": updates, "val_interval": updates}}
    plan = {
        "name": "harness_cost",
        "recipes": [recipe],
        "regularizers": ["wd"],
        "baseline": "wd",
        "cfg_options": schedule,
        "seeds": list(range(count)),
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}

    def call(*command: str | Path) -> tuple[float, float]:
        reading, writing = os.pipe()  # a run of its own ends when its standard input closes
        began = time.time()
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=reading, capture_output=True, text=True
        )
        ended = time.time()
        os.close(reading)
        os.close(writing)
        if done.returncode:
            raise SystemExit(done.stderr)
        return began, ended

    began, ended = call(*CLI, "bench", "run", "plan.yaml", "--work-dir", "work", "--jobs", "1")
    runs = spans(folder / "work")
    one = next((folder / "work" / "runs").iterdir())
    again = folder / "alone" / "runs" / one.name
    again.mkdir(parents=True)
    for name in ("config.py", "run.json"):
        shutil.copy(one / name, again)
    alone = call(sys.executable, "-m", "wrs_mm.bench.runs.worker", again)
    ((_, _, starting),) = spans(folder / "alone")
    return Cost(alone[1] - alone[0], starting, **cost(runs, began, ended))


def table(found: Cost, count: int, updates: int) -> str:
    """As Markdown, with the sentence that says what was measured."""
    besides = found.total - found.before
    rows = [
        ("a run in a process of its own, from its start to its end", found.alone),
        ("of this, until the first update", found.alone_starting),
        (f"{count} runs as a benchmark, one at a time", found.total),
        (
            "before the first run: imports, the plan's configs, and once for all runs the toolboxes",
            found.before,
        ),
        ("the runs' own times, from fork to result", found.runs),
        ("of this, until the first update, each run", found.starting),
        ("between two runs", found.between),
        ("after the last: the tables", found.after),
    ]
    lines = [
        f"By `python tools/perf/harness_cost.py --into docs/benchmark.md`, {updates} updates a run:",
        "",
        "| | seconds |",
        "| :-- | --: |",
        *(f"| {name} | {seconds:.2f} |" for name, seconds in rows),
        f"| **all but the imports, of the runs' own times** | {besides / found.runs:.3f} × |",
        f"| all, of {count} runs in processes of their own | {found.total / (count * found.alone):.2f} × |",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=12, help="how many (default: 12)")
    parser.add_argument("--updates", type=int, default=20, help="of each (default: 20)")
    parser.add_argument("--into", type=Path, help="the page whose table is written anew")
    args = parser.parse_args()
    require_place(args.into, "harness_cost")
    with tempfile.TemporaryDirectory() as name:
        render_mini(Path(name) / "data")
        text = table(measure(Path(name), args.runs, args.updates), args.runs, args.updates)
    print_or_write(text, args.into, "harness_cost")


if __name__ == "__main__":
    main()
