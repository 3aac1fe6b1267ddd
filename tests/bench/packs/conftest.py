"""A made-up study and its pack, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from made_up import make_work_dir

from wrs_mm.bench.commands import report
from wrs_mm.bench.packs.pack import pack
from wrs_mm.bench.runs.work_dir import WorkDir


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> WorkDir:
    """Two seeds of a detector and a segmentor, reported; one run of each has diverged."""
    work_dir = make_work_dir(tmp_path_factory.mktemp("study") / "work", seeds=2)
    report(work_dir.path)
    return work_dir


@pytest.fixture(scope="session")
def packed(study: WorkDir, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of it in a pack."""
    file = tmp_path_factory.mktemp("pack") / "study.tar.xz"
    pack(study.path, file)
    return file


@pytest.fixture
def copy(study: WorkDir, tmp_path: Path) -> WorkDir:
    """A copy that a test may change."""
    shutil.copytree(study.path, tmp_path / "copy")
    return WorkDir(tmp_path / "copy")
