"""tools/why/trials.py: pairs of trials, what is counted, the figure, and what it says without a study."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_tuning import DETECTOR, make_tuned_work_dir

from wrs_mm.bench.runs.work_dir import WorkDir

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "why" / "trials.py"


def _run(work_dir: Path, picture: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, work_dir, picture], capture_output=True, text=True, check=False
    )


def _metrics(work_dir: WorkDir, arm: str) -> dict[int, float]:
    """Test metric of each trial, NaN of one that diverged."""
    trials = [spec for spec in work_dir.listed().runs if spec.trial is not None and spec.regularizer == arm]
    results = {spec.trial: work_dir.run(spec).result() for spec in trials}
    return {n: (result.test or {}).get("bbox_mAP", float("nan")) for n, result in results.items()}


def test_counted_are_settings_at_which_one_of_the_two_is_better_than_none(tmp_path: Path) -> None:
    work_dir = make_tuned_work_dir(tmp_path / "work", trials=8, seeds=1, recipes=[DETECTOR])
    done = _run(work_dir.path, tmp_path / "trials.svg")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "trials.svg").read_text().lstrip().startswith("<?xml")
    wd, matched, none = (_metrics(work_dir, arm) for arm in ("wd", "wrs_matched", "none"))
    both = [n for n in wd if not (math.isnan(wd[n]) or math.isnan(matched[n]))]
    counted = [n for n in both if max(wd[n], matched[n]) > none[n]]
    rows = [row.split(" | ") for row in done.stdout.splitlines()[2:] if "| both |" in row]
    assert sum(int(row[3]) for row in rows) == len(counted) > 0
    mean = sum(int(row[3]) * float(row[4].split()[0]) for row in rows) / len(counted)
    assert mean == pytest.approx(sum(matched[n] - wd[n] for n in counted) / len(counted), abs=0.06)


def test_of_a_study_without_one_of_the_arms_it_says_which(tmp_path: Path) -> None:
    work_dir = make_tuned_work_dir(tmp_path / "work", trials=2, seeds=1, recipes=[DETECTOR])
    for run in (work_dir.path / "runs").glob("*__wrs_matched__*"):
        (run / "result.json").unlink()
    done = _run(work_dir.path, tmp_path / "trials.svg")
    assert done.returncode == 2
    assert "has no trials of wrs_matched that ended" in done.stderr and done.stderr.count("\n") == 1


def test_where_there_is_no_study_it_says_so_in_a_line(tmp_path: Path) -> None:
    done = _run(tmp_path / "nothing", tmp_path / "trials.svg")
    assert done.returncode == 2
    assert done.stderr.startswith("trials: error: ") and done.stderr.count("\n") == 1
