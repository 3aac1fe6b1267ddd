"""tools/why/effects.py: what each arm gained, and how far its filters turned."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from made_up_dynamics import make_watched_work_dir, write_dynamics
from scripts import load_script

from wrs_mm.bench.packs.unpack import unpack
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.runs.work_dir import WorkDir

METRICS = {"wd": [40.0, 38.0, 42.0], "none": [35.0, 35.0, 38.0]}
"""By seed, percent."""

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "why" / "effects.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_script(SCRIPT, monkeypatch)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    def write(folder: Path, arm: str, seed: int) -> None:
        write_dynamics(folder, arm, seed, updates=40)

    work_dir = make_watched_work_dir(tmp_path / "work", ["none", "wd"], write=write)
    for spec in work_dir.specs():
        metrics = {"bbox_mAP": METRICS[spec.regularizer][spec.seed]}
        work_dir.run(spec).write_result(Result(status=Status.DONE, task="detection", metrics=metrics))
    return work_dir.path


def test_an_arm_s_gain_is_the_mean_of_paired_differences(study: Path, script: ModuleType) -> None:
    ((_, rows),) = script.effects(study).items()
    found = {row.weights.arm: row for row in rows}
    assert found["wd"].metric == pytest.approx((40.0, 2.0)) and found["wd"].weights.is_baseline
    assert found["none"].metric[0] == pytest.approx(36.0)
    # −5, −3 and −4: their mean ± Student's t for three of them.
    gain = found["none"].gain
    assert (gain.value, gain.low) == pytest.approx((-4.0, -4.0 - 4.30265 / 3**0.5), abs=1e-4)
    assert found["none"].differences == pytest.approx([-5.0, -3.0, -4.0])
    assert found["none"].weights.turn.value < 1, "filters that keep their norm turn less"


def test_a_run_that_diverged_is_counted_and_in_no_mean(study: Path, script: ModuleType) -> None:
    work_dir = WorkDir(study)
    one = work_dir.run(next(spec for spec in work_dir.specs() if spec.regularizer == "none"))
    (one.folder / "result.json").unlink()
    one.write_result(Result(status=Status.DIVERGED, task="detection", reason="the loss is nan"))
    ((_, rows),) = script.effects(study).items()
    none = next(row for row in rows if row.weights.arm == "none")
    assert none.diverged == 1 and none.metric[0] == pytest.approx(36.5)


def test_the_command_draws_and_prints_a_row_an_arm(study: Path, tmp_path: Path) -> None:
    picture = tmp_path / "effects.svg"
    command = [sys.executable, SCRIPT, study, picture]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "angular update" in picture.read_text()
    rows = [line for line in done.stdout.splitlines() if line.startswith(("| none", "| wd"))]
    assert rows.pop() == "| none | 3 | -4.00 [-6.48, -1.52] |"  # over all recipes
    assert len(rows) == 2 and all(row.count("|") == rows[0].count("|") for row in rows)
    done = subprocess.run([sys.executable, SCRIPT, tmp_path, picture], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("effects: error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_tables_of_the_document_are_those_of_the_committed_study(
    tmp_path: Path, script: ModuleType
) -> None:
    unpack([ROOT / "docs" / "reports" / "dynamics.pack.tar.xz"], tmp_path / "dynamics")
    lines = script.draw(tmp_path / "dynamics", tmp_path / "effects.svg")
    document = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert "\n".join(lines).strip() in document
    picture = ROOT / "docs" / "img" / "dynamics_effects.svg"
    assert (tmp_path / "effects.svg").read_bytes() == picture.read_bytes()
