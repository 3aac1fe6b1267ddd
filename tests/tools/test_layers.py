"""tools/why/layers.py: layers under each arm of a watched study, and a study that watched nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from made_up_tuning import DETECTOR, make_tuned_work_dir
from scripts import load_script

from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.engine.hooks.dynamics_file import Contents, DynamicsFile

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "why" / "layers.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_script(SCRIPT, monkeypatch)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """One final run of each arm, of whose two layers one ends with the fourfold norm of the other."""
    work_dir = make_tuned_work_dir(tmp_path / "work", trials=2, seeds=1, recipes=[DETECTOR])
    contents = Contents(weights=["a", "b"], stages=["one", "one"], quantities=["norm", "turn"])
    for spec in work_dir.listed().runs:
        if spec.trial is None:
            file = DynamicsFile.begin(work_dir.run(spec).folder, contents, after=0)
            file.append(20, np.array([[1.0, 0.1], [1.0, 0.1]]))
            file.append(40, np.array([[0.5, 0.1], [2.0, 0.1]]))
    return work_dir.path


def test_the_last_norms_say_how_far_layers_are_apart(study: Path, script: ModuleType) -> None:
    found = script.watched(study)
    assert list(found) == [DETECTOR]
    assert {"wd", "wrs_matched"} <= set(found[DETECTOR])
    assert {script.spread(dynamics) for dynamics in found[DETECTOR].values()} == {4.0}


def test_it_draws_and_prints_a_row_an_arm(study: Path, tmp_path: Path) -> None:
    picture = tmp_path / "layers.svg"
    done = subprocess.run([sys.executable, SCRIPT, study, picture], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert picture.read_text().lstrip().startswith("<?xml")
    finals = [spec for spec in WorkDir(study).listed().runs if spec.trial is None]
    assert done.stdout.count("| 4.0 |") == len(finals)


def test_a_study_that_watched_nothing_is_refused_in_a_line(tmp_path: Path) -> None:
    work_dir = make_tuned_work_dir(tmp_path / "work", trials=2, seeds=1, recipes=[DETECTOR])
    done = subprocess.run([sys.executable, SCRIPT, work_dir.path, "x.svg"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "has been watched: its plan needs `dynamics`" in done.stderr and done.stderr.count("\n") == 1
