"""``bench unpack``: a study goes on elsewhere, whole, merged, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from wrs_mm.bench.commands import report
from wrs_mm.bench.packs import unpack as module
from wrs_mm.bench.packs.manifest import Pack
from wrs_mm.bench.packs.pack import pack
from wrs_mm.bench.packs.unpack import unpack
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.errors import PlanError

TABLES = (
    "results.csv",
    "images.csv",
    "table.md",
    "table.csv",
    "table.tex",
    "table_best.csv",
    "table_best.tex",
)

RUN = "seg__wd__seed0"


def _contents(folder: Path) -> dict[str, bytes]:
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in sorted(files.items()) if path.name != ".lock"}


def _half(work_dir: WorkDir, file: Path, seed: int) -> Path:
    """A pack of one seed's runs; what is left out is taken from the work dir."""
    for spec in work_dir.specs():
        if spec.seed != seed:
            shutil.rmtree(work_dir.run(spec).folder)
    pack(work_dir.path, file)
    return file


@pytest.fixture
def halves(study: WorkDir, tmp_path: Path) -> list[Path]:
    """Packs of one seed each."""
    made = []
    for seed in (0, 1):
        shutil.copytree(study.path, tmp_path / f"half{seed}")
        made.append(_half(WorkDir(tmp_path / f"half{seed}"), tmp_path / f"half{seed}.tar.xz", seed))
    return made


@pytest.fixture(scope="module")
def elsewhere(study: WorkDir, packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was unpacked and reported on a machine that has neither images nor annotations."""
    folder = tmp_path_factory.mktemp("elsewhere")
    data = study.path.parent / "work-data"
    hidden = data.rename(folder / "hidden")
    try:
        unpack([packed], folder / "work")
        assert not (folder / "work" / "results.csv").exists()
        report(folder / "work")
    finally:
        hidden.rename(data)
    return folder / "work"


def test_without_images_and_annotations_the_numbers_are_the_same(study, elsewhere):
    for name in TABLES:
        assert (elsewhere / name).read_bytes() == (study.path / name).read_bytes(), name


def test_the_page_is_the_same_but_for_images_that_are_not_there(study, elsewhere):
    said = "The images are not on the machine that made this page"
    page = (study.path / "report.html").read_text()
    assert (elsewhere / "report.html").read_text().count(said) == 2
    assert said not in page
    report(elsewhere)  # the images are there again
    assert (elsewhere / "report.html").read_text().replace(str(elsewhere), str(study.path)) == page


def test_it_says_what_it_did(packed, tmp_path, capsys):
    assert unpack([packed], tmp_path / "other") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'other'}: 12 of 12 runs unpacked\n"


def test_a_pack_of_what_was_unpacked_is_the_pack(packed, tmp_path):
    unpack([packed], tmp_path / "other")
    pack(tmp_path / "other", tmp_path / "again.tar.xz")
    assert (tmp_path / "again.tar.xz").read_bytes() == packed.read_bytes()


def test_halves_merge_in_any_order_and_one_after_the_other(halves, packed, tmp_path, capsys):
    unpack([packed], tmp_path / "whole")
    unpack(halves, tmp_path / "both")
    unpack(halves[1:], tmp_path / "turns")
    capsys.readouterr()
    unpack(halves[:1], tmp_path / "turns")
    assert capsys.readouterr().out == f"{tmp_path / 'turns'}: 6 of 12 runs unpacked\n"
    whole = _contents(tmp_path / "whole")
    assert _contents(tmp_path / "both") == whole
    assert _contents(tmp_path / "turns") == whole


def test_what_is_there_already_stays_as_it_is(packed, tmp_path, capsys):
    unpack([packed], tmp_path / "other")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "other").glob("runs/**/*")}
    capsys.readouterr()
    unpack([packed, packed], tmp_path / "other")
    assert capsys.readouterr().out == (
        f"{tmp_path / 'other'}: 0 of 12 runs unpacked; 12 were there already\n"
    )
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "other").glob("runs/**/*")} == before


def test_a_run_that_was_not_through_gives_way_to_one_that_is(copy, packed):
    run = copy.run(next(spec for spec in copy.specs() if spec.id == RUN))
    run.clear_result()
    run.write_result(Result(status=Status.FAILED))
    (run.folder / "iter_5.pth").write_text("")
    (run.folder / "20990101_000000" / "vis_data").mkdir(parents=True)
    (run.folder / "20990101_000000" / "vis_data" / "scalars.json").write_text('{"step": 1, "loss": 9}')
    unpack([packed], copy.path)
    assert run.status() is Status.DONE
    assert not (run.folder / "iter_5.pth").exists()
    assert not (run.folder / "20990101_000000").exists()


def _other_result(work_dir: WorkDir) -> None:
    run = work_dir.run(next(spec for spec in work_dir.specs() if spec.id == RUN))
    result = run.result()
    run.clear_result()
    run.write_result(result.model_copy(update={"metrics": {"mIoU": 1.0}}))


def _other_config(work_dir: WorkDir) -> None:
    run = work_dir.run(next(spec for spec in work_dir.specs() if spec.id == RUN))
    text = (run.folder / "run.json").read_text()
    (run.folder / "run.json").write_text(text.replace('"config_hash": "0"', '"config_hash": "1"'))


def _register(work_dir: WorkDir, later: int = 0, **update: object) -> None:
    """Describe the segmentor's runs otherwise."""
    specs = [
        spec.model_copy(update={**update, "seed": spec.seed + later}) if spec.recipe == "seg" else spec
        for spec in work_dir.specs()
    ]
    work_dir.register(work_dir.name, specs)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_result, f"{RUN} has another result in .* than in .*; keep one of them"),
        (_other_config, f"{RUN} was trained with another config in .* than in "),
        (lambda d: d.register("another", d.specs()), "the plan 'another'"),
        (lambda d: _register(d, cfg_options={"a": 1}), "of another plan .*seed0 differs in cfg_options"),
        (lambda d: _register(d, 7, cfg_options={"a": 1}), "links or split of seg differ"),
        (lambda d: _register(d, 7, baseline=True), "the baselines are none and wd"),
    ],
)
@pytest.mark.parametrize("into", ["a work dir", "a new folder"])
def test_what_does_not_belong_together_is_refused(change, said, into, copy, packed, tmp_path):
    change(copy)
    files, folder = [packed], copy.path
    if into == "a new folder":
        pack(copy.path, tmp_path / "b.tar.xz")
        files, folder = [packed, tmp_path / "b.tar.xz"], tmp_path / "new"
    before = _contents(folder)
    with pytest.raises(PlanError, match=said) as error:
        unpack(files, folder)
    assert _contents(folder) == before
    assert folder.exists() == (into == "a work dir")
    assert "\n" not in str(error.value)


def test_results_of_two_machines_that_measured_the_same_are_one(copy, packed, tmp_path):
    run = copy.run(next(spec for spec in copy.specs() if spec.id == RUN))
    result = run.result()
    run.clear_result()
    run.write_result(result.model_copy(update={"seconds": 9.0, "device": "another", "threads": 8}))
    unpack([packed], copy.path)
    assert run.result().device == "another"


def test_a_run_that_is_under_way_is_left_alone(copy, packed):
    run = copy.run(next(spec for spec in copy.specs() if spec.id == RUN))
    run.clear_result()
    for lock in (run.claim(), run.lock()):
        with lock.acquire():
            before = _contents(copy.path)
            with pytest.raises(PlanError, match=f"{RUN} is under way; end that bench run"):
                unpack([packed], copy.path)
            assert _contents(copy.path) == before
    assert run.status() is not Status.DONE


def test_a_folder_of_somebody_else_is_left_alone(packed, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(PlanError, match="holds other files"):
        unpack([packed], tmp_path)
    with pytest.raises(PlanError, match="cannot be written"):
        unpack([packed], Path("/proc/work"))


@pytest.mark.parametrize("damage", [lambda b: b[:-40], lambda b: b[:2000] + b"x" + b[2001:], lambda b: b"PK"])
def test_a_damaged_pack_leaves_nothing(damage, packed, tmp_path):
    (tmp_path / "a.tar.xz").write_bytes(damage(packed.read_bytes()))
    with pytest.raises(PlanError, match="damaged, or no pack"):
        unpack([packed, tmp_path / "a.tar.xz"], tmp_path / "other")
    assert not (tmp_path / "other").exists()


def _die_at(monkeypatch: pytest.MonkeyPatch, function: str, call: int) -> None:
    """Have a process killed in the n-th call of a function of os; it gets no chance to clean up."""
    calls = 0
    original: Callable[..., object] = getattr(os, function)

    def dying(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            os._exit(99)
        return original(*arguments, **options)

    monkeypatch.setattr(os, function, dying)


@pytest.mark.parametrize("call", [1, 2, 5, 10, 13])
def test_killed_at_any_moment_it_leaves_only_whole_runs_and_is_repeated(
    call, packed, copy, tmp_path, monkeypatch
):
    run = copy.run(next(spec for spec in copy.specs() if spec.id == RUN))
    run.clear_result()
    shutil.rmtree(copy.run(copy.specs()[0]).folder)
    child = os.fork()
    if child == 0:
        _die_at(monkeypatch, "replace", call)
        try:
            unpack([packed], copy.path)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 99
    whole = {content.identity.spec.id: content.files for content in Pack(packed).runs()}
    for spec in copy.specs():
        one = copy.run(spec)
        assert one.status() in (Status.DONE, Status.DIVERGED, Status.PENDING)
        if one.is_final():
            assert {*whole[spec.id]} <= {*_contents(one.folder)}
    unpack([packed], copy.path)
    assert all(copy.run(spec).is_final() for spec in copy.specs())
    assert [path.name for path in (copy.path / "runs").iterdir() if path.name.startswith(".")] == []


def test_the_plan_that_is_there_stays_and_a_note_says_so(copy, packed, capsys):
    copy.plan.write_text("name: mine\n")
    unpack([packed], copy.path)
    assert copy.plan.read_text() == "name: mine\n"
    assert f"note: the plan in {packed} reads otherwise than {copy.plan}, which stays" in (
        capsys.readouterr().err
    )


def test_a_harness_that_prepares_is_waited_for(packed, copy, monkeypatch):
    monkeypatch.setattr(module, "_WAIT", 0.1)
    with copy.lock().acquire(), pytest.raises(PlanError, match="has been preparing"):
        unpack([packed], copy.path)
