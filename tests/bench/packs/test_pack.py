"""``bench pack``: one small file, the same for the same results."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.bench.commands import report
from wrs_mm.bench.packs.manifest import Pack
from wrs_mm.bench.packs.pack import pack
from wrs_mm.bench.packs.unpack import unpack
from wrs_mm.bench.plan.tuning import Tuning
from wrs_mm.bench.runs.records import Progress, Result, Status
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.errors import PlanError


def test_the_same_results_give_the_same_bytes(packed, copy, tmp_path):
    assert pack(copy.path, tmp_path / "again.tar.xz") == 0
    assert (tmp_path / "again.tar.xz").read_bytes() == packed.read_bytes()


def test_it_says_what_it_left_out(copy, tmp_path, capsys):
    first, second, third, *_ = (copy.run(spec) for spec in sorted(copy.specs(), key=lambda spec: spec.id))
    for run in (first, second, third):
        run.clear_result()
    first.write_result(Result(status=Status.FAILED))
    second.write_progress(Progress())
    assert pack(copy.path, tmp_path / "a.tar.xz") == 0
    assert "9 runs, 0.0" in (said := capsys.readouterr().out)
    assert said.strip().endswith("; left out: 1 failed, 1 interrupted, 1 pending")
    packed = Pack(tmp_path / "a.tar.xz")
    assert packed.manifest.plan.runs == copy.specs()
    assert not {first.name, second.name, third.name} & set(packed.manifest.packed)


def test_matches_are_made_where_no_report_did(copy, packed, tmp_path):
    for saved in copy.path.rglob("matches.*"):
        saved.unlink()
    pack(copy.path, tmp_path / "a.tar.xz")
    names = [{*run.files} for run in Pack(tmp_path / "a.tar.xz").runs()]
    assert names == [{*run.files} for run in Pack(packed).runs()]
    assert sum("predictions/matches.bbox.pt" in files for files in names) == 5


def test_without_detections_the_report_is_the_same(study, copy, tmp_path, capsys):
    pack(copy.path, tmp_path / "a.tar.xz", detections_of=[0])
    kept = {run.identity.spec.seed: set() for run in Pack(tmp_path / "a.tar.xz").runs()}
    for run in Pack(tmp_path / "a.tar.xz").runs():
        kept[run.identity.spec.seed] |= {name for name in run.files if name.startswith("predictions/")}
    assert {"predictions/val.bbox.json", "predictions/matches.bbox.pt"} < kept[0]
    assert kept[1] == kept[0] - {"predictions/val.bbox.json"}

    unpack([tmp_path / "a.tar.xz"], tmp_path / "other")
    capsys.readouterr()
    report(tmp_path / "other")
    assert "no predictions" not in capsys.readouterr().out
    for name in ("images.csv", "results.csv", "table.md"):
        assert (tmp_path / "other" / name).read_bytes() == (study.path / name).read_bytes(), name
    # What is packed once more, of a study that went on, is what was there.
    pack(tmp_path / "other", tmp_path / "b.tar.xz", detections_of=[0])
    assert (tmp_path / "b.tar.xz").read_bytes() == (tmp_path / "a.tar.xz").read_bytes()


def test_a_seed_that_no_run_has_is_refused(copy, tmp_path):
    with pytest.raises(PlanError, match="that has a final result has seed 7"):
        pack(copy.path, tmp_path / "a.tar.xz", detections_of=[0, 7])


def test_where_there_is_nothing_to_pack_it_says_so(tmp_path, copy):
    with pytest.raises(PlanError, match="is not the work dir of a benchmark"):
        pack(tmp_path, tmp_path / "a.tar.xz")
    empty = WorkDir(tmp_path / "empty")
    empty.path.mkdir()
    empty.register("nothing yet", copy.specs())
    with pytest.raises(PlanError, match="there is nothing to pack"):
        pack(empty.path, tmp_path / "a.tar.xz")
    assert not (tmp_path / "a.tar.xz").exists()


def test_a_name_that_is_probably_a_mistake_is_refused(copy):
    before = copy.plan.read_bytes()
    with pytest.raises(PlanError, match=r"is no name for a pack; let it end in \.tar\.xz"):
        pack(copy.path, copy.plan)
    assert copy.plan.read_bytes() == before
    with pytest.raises(PlanError, match="is no folder; make it first"):
        pack(copy.path, copy.path / "missing" / "a.tar.xz")
    with pytest.raises(PlanError, match="cannot be written"):
        pack(copy.path, Path("/proc/a.tar.xz"))


def test_what_is_written_down_of_a_plan_with_tuning_goes_along(copy, tmp_path):
    tuning = Tuning.model_validate(
        {"trials": 8, "search": {"lr": [0.01, 1.0], "wd": {"weight_decay": [1e-5, 0.1]}}, "seeds": [100]}
    )
    copy.register(copy.name, copy.specs(), tuning, to_come=7)
    pack(copy.path, tmp_path / "a.tar.xz")
    unpack([tmp_path / "a.tar.xz"], tmp_path / "other")
    assert WorkDir(tmp_path / "other").listed() == copy.listed()
    assert WorkDir(tmp_path / "other").tuning() == tuning
