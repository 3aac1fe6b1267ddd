"""``wrs-mm bench unpack``: the runs of packs in a work dir, as if they had been made there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from filelock import Timeout
from rich.console import Console
from rich.progress import track

from wrs_mm.bench.packs.contents import RunContent
from wrs_mm.bench.packs.manifest import Pack
from wrs_mm.bench.packs.merge import one_plan
from wrs_mm.bench.plan.backbones import STORE
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Identity, Result
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.errors import PlanError
from wrs_mm.files import remove_leftovers, write_bytes, write_folder
from wrs_mm.values import several

_WAIT = 120.0
"""Seconds that a bench run gets to write down its plan."""

_OF_THE_MACHINE = {
    *("seconds", "seconds_starting", "started", "ended", "peak_memory", "log_tail"),
    *("processes", "threads", "device", "versions"),
}
"""What two results of one training may differ in: what they say of the machine and of the time."""


class _Known(NamedTuple):
    """What is known of a run with a final result, and where it stands."""

    where: Path
    identity: Identity
    result: Result


def unpack(files: Sequence[Path], path: Path) -> int:
    """Lay the runs of packs into a work dir; all is checked before anything is written.

    Runs that the work dir has with the same result stay as they are; what it has of unfinished ones goes.
    A call that was cut off is repeated.

    Args:
        files: Packs of one plan.
        path: The work dir of that plan, or a new one.

    Returns:
        0.

    Raises:
        PlanError: A file is damaged or no pack; the packs and the work dir are of several plans; a run has
            two results, or is under way in the work dir.
    """
    packs = [Pack(file) for file in files]
    places = [(pack.path, pack.manifest.plan) for pack in packs]
    work_dir = WorkDir(path, STORE)
    work_dir.check(one_plan(places).name)
    known: dict[str, _Known] = {}
    for pack in packs:
        for identity, result in pack.results:
            _agree(_Known(pack.path, identity, result), known)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with work_dir.lock().acquire(timeout=_WAIT):
            if work_dir.is_registered():
                places.insert(0, (path, work_dir.listed()))
            plan = one_plan(places)
            for one in list(known.values()):
                _check_run(work_dir.run(one.identity.spec), path, known)
            work_dir.restore(plan)
            _write_plan(work_dir, packs)
            written = _lay_all(work_dir, packs)
    except Timeout:
        raise PlanError(f"a bench run has been preparing {path} for minutes; try again") from None
    except OSError as error:
        raise PlanError(f"{path} cannot be written ({error}); what is there is whole, call again") from error
    there = len(known) - written
    kept = f"; {there} were there already" if there else ""
    print(f"{path}: {written} of {several(len(plan.runs), 'run')} unpacked{kept}")
    return 0


def _agree(one: _Known, known: dict[str, _Known]) -> None:
    """Check that a run's result is the one that is known, if one is; else it is known from now on.

    Raises:
        PlanError: It is another one.
    """
    name = one.identity.spec.id
    other = known.setdefault(name, one)
    if one.identity.config_hash != other.identity.config_hash:
        raise PlanError(f"{name} was trained with another config in {one.where} than in {other.where}")
    results = [each.result.model_dump(exclude=_OF_THE_MACHINE) for each in (one, other)]
    if results[0] != results[1]:
        raise PlanError(f"{name} has another result in {one.where} than in {other.where}; keep one of them")


def _check_run(run: Run, where: Path, known: dict[str, _Known]) -> None:
    """Check that a run of the work dir may be replaced by the one that is known, or need not be.

    Raises:
        PlanError: It has another result, or somebody works on it.
    """
    identity, result = run.identity(), run.result()
    if identity is not None and result is not None and result.status.final:
        _agree(_Known(where, identity, result), known)
    else:
        with ExitStack() as held:
            _hold(run, held)


def _hold(run: Run, held: ExitStack) -> None:
    """Keep others from a run that is there.

    Raises:
        PlanError: Somebody works on it.
    """
    if not run.folder.exists():
        return
    try:
        held.enter_context(run.claim().acquire(timeout=0))
        held.enter_context(run.lock().acquire(timeout=0))
    except Timeout:
        raise PlanError(f"{run.folder} is under way; end that bench run, or unpack elsewhere") from None


def _write_plan(work_dir: WorkDir, packs: Sequence[Pack]) -> None:
    """Write the plan's text where there is none; say where packs have others."""
    texts = {pack.text: pack.path for pack in reversed(packs) if pack.text is not None}
    if not work_dir.plan.exists() and texts:
        write_bytes(work_dir.plan, list(texts)[-1])
    others = [file for text, file in texts.items() if text != work_dir.plan.read_bytes()]
    for file in others:
        print(f"note: the plan in {file} reads otherwise than {work_dir.plan}, which stays", file=sys.stderr)


def _lay_all(work_dir: WorkDir, packs: Sequence[Pack]) -> int:
    """Write the runs that are not there; how many were written."""
    folder = work_dir.path / "runs"
    folder.mkdir(exist_ok=True)
    remove_leftovers(folder)
    console = Console(stderr=True)
    shown = track(
        (content for pack in packs for content in pack.runs()),
        "unpacking",
        total=sum(len(pack.results) for pack in packs),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    return sum(_lay(work_dir.run(content.identity.spec), content) for content in shown)


def _lay(run: Run, content: RunContent) -> bool:
    """Write a run unless it is there; whether it was written."""
    if run.is_final():
        return False
    with ExitStack() as held:
        _hold(run, held)
        write_folder(run.folder, content.files)
    return True
