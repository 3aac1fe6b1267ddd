"""Audit, train and evaluate one configuration of every model family: docs/families.md.

    python tools/families                        # what is missing there; from nothing that takes hours
    python tools/families mmdet::yolox/yolox_tiny_8xb8-300e_coco.py     # this row again, the others stay
    python tools/families --failed               # what could not run, again: with other packages, mended code
    python tools/families --sample 3             # three rows again, other ones each day

The toolboxes' optional packages, as they were tried: pip install --no-deps -r tools/families/requirements.txt

Each configuration is examined in a process of its own, with a limit on its time and memory, so that one that
fails is a row that says why and nothing else. What was found is kept after each one: stop it when you like.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

from document import Results, is_wrong, read, row, write
from examine import PARTS
from worker import examine

from configs import CONFIGS

ROOT = Path(__file__).resolve().parents[2]


def sample_of(day: datetime.date, count: int) -> list[str]:
    """Configurations for a day: other ones than the day before's, and in the course of time all of them."""
    first = day.toordinal() * count
    return [CONFIGS[(first + i) % len(CONFIGS)] for i in range(count)]


def missing(results: Results, parts: list[str]) -> list[tuple[str, str]]:
    """The configurations and parts that nothing is known of."""
    return [(name, part) for name in CONFIGS for part in parts if part not in results.get(name, {})]


def failed(results: Results, parts: list[str]) -> list[tuple[str, str]]:
    """The configurations and parts that could not run."""
    return [
        (name, part) for name in CONFIGS for part in parts if "error" in results.get(name, {}).get(part, {})
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("configs", nargs="*", help="make these again (default: what is missing)")
    some = parser.add_mutually_exclusive_group()
    some.add_argument("--failed", action="store_true", help="make again what could not run")
    some.add_argument("--sample", type=int, metavar="N", help="make N of them again, other ones each day")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "families.json")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one part (%(default)s)")
    parser.add_argument("--memory", type=float, default=10, help="GiB for one process (%(default)s)")
    parser.add_argument("--logs", type=Path, help="keep logs, with every verdict, in this folder")
    args = parser.parse_args()
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # Each process starts from one that has imported the toolboxes already.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["wrs_mm", "mmdet.models", "mmseg.models", "wrs_mm.audit.brute_force"])
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    unknown = set(args.configs) - set(CONFIGS)
    if unknown:
        print(f"families: error: {min(unknown)} is not in tools/families/configs.py", file=sys.stderr)
        return 2
    results = read(args.output)
    again = args.configs or (sample_of(datetime.date.today(), args.sample) if args.sample else [])
    todo = [(name, part) for name in again for part in args.parts]
    if not again:
        todo = (failed if args.failed else missing)(results, args.parts)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with tempfile.TemporaryDirectory() as scratch, Progress(*columns) as progress:
        folder = args.logs or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        task = progress.add_task("", total=len(todo))
        for name, part in todo:
            progress.update(task, description=f"{name} {part}")
            found = examine(context, name, part, folder, args.timeout, args.memory)
            results.setdefault(name, {})[part] = found
            write(args.output, results)
            progress.console.print(row(name, results[name]), highlight=False, markup=False)
            progress.advance(task)
    return 1 if any(is_wrong(results[name]) for name, _ in todo) else 0


if __name__ == "__main__":
    sys.exit(main())
