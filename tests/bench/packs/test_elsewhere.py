"""A real benchmark goes on on a machine with the plan, the pack and no data (wrs_mm.bench.commands)."""

from __future__ import annotations

import os
import shutil

import pytest
from benches import Bench

from wrs_mm.bench.commands import report
from wrs_mm.bench.packs.pack import pack
from wrs_mm.bench.packs.unpack import unpack

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
