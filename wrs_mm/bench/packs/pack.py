"""``wrs-mm bench pack``: what a study found, in one small file."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from wrs_mm.bench.packs.contents import read_run
from wrs_mm.bench.packs.manifest import Manifest, write_pack
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.errors import PlanError
from wrs_mm.values import several

_SUFFIX = ".tar.xz"


def pack(path: Path, file: Path, detections_of: Collection[int] | None = None) -> int:
    """Write the runs of a work dir that have a final result into a file.

    Matches of boxes are made first where they are missing: with them a report needs no annotations.

    Args:
        path: The work dir.
        file: The pack, ``*.tar.xz``; one that is there is replaced.
        detections_of: Seeds. Of a detector's runs with another one the detections stay behind, which are most
            of a pack; their matches are enough for all but pictures. None for all seeds.

    Returns:
        0.

    Raises:
        PlanError: The folder is not the work dir of a benchmark, no run in it has a final result, one of
            them cannot be packed, no run has one of the seeds, or the file cannot be written.
    """
    work_dir = WorkDir(path)
    listed = work_dir.listed()
    if not file.name.endswith(_SUFFIX):
        raise PlanError(f"{file} is no name for a pack; let it end in {_SUFFIX}")
    if not file.parent.is_dir():
        raise PlanError(f"{file.parent} is no folder; make it first")
    specs = {spec.id: spec for spec in listed.runs}
    runs = [work_dir.run(specs[name]) for name in sorted(specs)]
    final = [run for run in runs if run.is_final()]
    if not final:
        raise PlanError(f"no run of {path} has a final result; there is nothing to pack")
    strange = set(detections_of or ()) - {specs[run.name].seed for run in final}
    if strange:
        raise PlanError(f"no run of {path} that has a final result has seed {min(strange)}")
    _make_matches(work_dir)
    # Where pretrainings are is of this machine.
    plan = listed.model_copy(update={"store": None})
    manifest = Manifest(plan=plan, packed=[run.name for run in final])
    text = work_dir.plan.read_bytes() if work_dir.plan.is_file() else None
    console = Console(stderr=True)
    shown = track(final, "packing", console=console, transient=True, disable=not console.is_terminal)

    def whole(spec: RunSpec) -> bool:
        return detections_of is None or spec.seed in detections_of

    try:
        contents = (read_run(run, specs[run.name], whole(specs[run.name])) for run in shown)
        write_pack(file, manifest, text, contents)
    except OSError as error:
        raise PlanError(f"{file} cannot be written ({error})") from error
    print(f"{file}: {several(len(final), 'run')}, {file.stat().st_size / 1e6:.2f} MB{_left_out(runs, final)}")
    return 0


def _make_matches(work_dir: WorkDir) -> None:
    """Keep the matches of boxes beside the predictions, as a report does; say where they are not made."""
    from wrs_mm.bench.statistics.benchmark import read_benchmark
    from wrs_mm.bench.statistics.evaluations import evaluated_runs

    runs = read_benchmark(work_dir, details=True).runs
    _, notes = evaluated_runs(run for run in runs if run.has_predictions())
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def _left_out(runs: Sequence[Run], packed: Sequence[Run]) -> str:
    """How many runs are not in the pack, and why."""
    counts = Counter(run.status().value for run in runs if run not in packed)
    if not counts:
        return ""
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    return f"; left out: {states}"
