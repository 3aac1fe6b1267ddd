"""A real benchmark goes on on a machine with the plan, the pack and no data (wrs_mm.bench.commands)."""

from __future__ import annotations

import os
import shutil

import pytest
from benches import TEST, Bench
from kills import without_times

from wrs_mm.bench.commands import report
from wrs_mm.bench.packs.pack import pack
from wrs_mm.bench.packs.unpack import unpack
from wrs_mm.bench.runs.work_dir import WorkDir

pytestmark = pytest.mark.slow


def test_what_was_done_elsewhere_is_done(tmp_path, monkeypatch):
    here, there = Bench(tmp_path / "here"), Bench(tmp_path / "there")
    for bench in (here, there):
        bench.recipe("steady", iterations=10, more="\ntrain_cfg.update(val_interval=5)")
        bench.plan("steady")
    here.run()
    monkeypatch.chdir(here.folder)
    report(here.folder / "work")
    pack(here.folder / "work", tmp_path / "study.tar.xz")
    shutil.rmtree(there.folder / "data")
    monkeypatch.chdir(there.folder)
    unpack([tmp_path / "study.tar.xz"], there.folder / "work")

    # Nothing is left to do, and nothing of it needs data.
    there.run()
    assert there.attempts("steady__wd__seed0") == []
    assert there.result("steady__wd__seed0") == here.result("steady__wd__seed0")
    report(there.folder / "work")
    for name in ("results.csv", "images.csv", "table.md", "table.csv", "table.tex"):
        assert (there.folder / "work" / name).read_bytes() == (here.folder / "work" / name).read_bytes(), name
    assert not list((there.folder / "work").rglob("*.pth"))
    assert os.fsencode(here.folder) not in b"".join(
        path.read_bytes() for path in (there.folder / "work" / "runs").rglob("*") if path.is_file()
    )

    # A run that is not done does.
    there.plan("steady", seeds="[0, 1]")
    assert "dataset not found: data/images does not exist" in there.run(status=2)
    shutil.copytree(here.folder / "data", there.folder / "data")
    there.run()
    assert there.attempts("steady__wd__seed0") == []
    assert len(there.attempts("steady__wd__seed1")) == 1
    assert len(there.results()["run"].unique()) == 4


def test_a_tuned_study_goes_on_elsewhere_with_the_trials_that_were_made_here(tmp_path, monkeypatch):
    here, there = Bench(tmp_path / "here"), Bench(tmp_path / "there")
    tuning = "{trials: 2, search: {lr: [0.01, 1.0]}, seeds: [100]}"
    for bench in (here, there):
        bench.recipe("steady", iterations=6, more=TEST)
        bench.plan("steady", regularizers="[wd]", tuning=tuning)
    here.run()
    monkeypatch.chdir(here.folder)
    pack(here.folder / "work", tmp_path / "study.tar.xz")
    monkeypatch.chdir(there.folder)
    unpack([tmp_path / "study.tar.xz"], there.folder / "work")

    there.plan("steady", regularizers="[wd]", tuning=tuning, seeds="[0, 1]")
    there.run()
    here.plan("steady", regularizers="[wd]", tuning=tuning, seeds="[0, 1]")
    here.run()
    specs = {spec.id: spec for spec in WorkDir(there.folder / "work").specs()}
    assert [(spec.trial, spec.seed) for spec in specs.values()] == [(0, 100), (1, 100), (None, 0), (None, 1)]
    trained = [spec.seed for name, spec in specs.items() if there.attempts(name)]
    assert trained == [1]
    rows = [without_times(bench.folder / "work" / "results.csv") for bench in (here, there)]
    assert rows[0] == rows[1]
