"""Which files of a run a pack holds, and that they say the same afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from made_up import write_log
from made_up_dynamics import write_dynamics
from made_up_noise import write_noise
from made_up_sharpness import write_sharpness
from run_folders import make_runs

from wrs_mm.bench.packs.contents import read_run, unpacked
from wrs_mm.bench.runs.dynamics import run_dynamics
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Result, Status
from wrs_mm.bench.statistics.logs import training_losses
from wrs_mm.engine.hooks.dynamics_file import to_bytes
from wrs_mm.errors import PlanError
from wrs_mm.files import write_folder

DETECTIONS = json.dumps([{"image_id": 1, "bbox": [0.5, 1.0, 2.0, 3.0], "score": 0.5, "category_id": 1}])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that is done, was resumed once, and has all that a run can have."""
    (made,) = make_runs(tmp_path, 1)
    write_log(made, "20261123_100000", range(10, 100, 10), 0.5)
    write_log(made, "20261123_110000", range(50, 150, 10), 0.7)
    (made.folder / "predictions").mkdir()
    for name in ("train.log", "trained.py", "iter_100.pth", "best_mIoU.pth", "iter_50.damaged", ".claim"):
        (made.folder / name).write_text("large")
    for name in ("progress.json", "validations.json", "train_validations.json"):
        (made.folder / name).write_text("{}")
    for name in ("val.bbox.json", ".val.bbox.json.1.tmp"):
        (made.folder / "predictions" / name).write_text(DETECTIONS)
    write_dynamics(made.folder, "wd", 0, updates=20)
    write_sharpness(made.folder, "wd", 0)
    write_noise(made.folder)
    np.savez(made.folder / "predictions" / "val.npz", a=np.arange(3))
    made.write_result(Result(status=Status.DONE))
    return made


def _end(run: Run, status: Status) -> None:
    run.clear_result()
    run.write_result(Result(status=status))


def test_what_a_report_reads_goes_in_and_nothing_else(run):
    assert sorted(read_run(run).files) == [
        "20261123_100000/vis_data/scalars.json",
        "20261123_110000/vis_data/scalars.json",
        "config.py",
        "predictions/val.bbox.json",
        "predictions/val.npz",
        "progress.json",
        "result.json",
        "run.json",
        "sharpness.json",
        "train_validations.json",
        "validations.json",
        "weight_dynamics.f32",
        "weight_dynamics.json",
        "weight_noise.json",
    ]


def test_it_comes_out_as_it_went_in(run, tmp_path):
    content = read_run(run)
    packed = content.packed()
    assert list(packed) == sorted(packed)
    assert "predictions/val.bbox.json.npz" in packed
    again = unpacked(packed)
    assert again.files == content.files
    write_folder(tmp_path / "other", again.files)
    other = Run(tmp_path / "other")
    for name, text in again.files.items():
        if not name.endswith("scalars.json"):
            assert text == (run.folder / name).read_bytes()
    losses = training_losses(run)
    assert training_losses(other) == losses
    assert min(losses) == 10 and max(losses) == 140


def test_of_weight_dynamics_as_much_as_a_report_shows_goes_in(run):
    write_dynamics(run.folder, "wd", 0, updates=300, interval=1)
    shown = run_dynamics(run.folder)
    files = read_run(run).files
    assert files["weight_dynamics.f32"] == to_bytes(shown)
    assert len(shown.iterations) == 200
    assert len(files["weight_dynamics.f32"]) < len((run.folder / "weight_dynamics.f32").read_bytes())


def test_a_damaged_file_of_weight_dynamics_stays_behind(run):
    (run.folder / "weight_dynamics.json").write_text("{}")
    assert not [name for name in read_run(run).files if name.startswith("weight_dynamics")]


@pytest.mark.parametrize("name", ["sharpness.json", "weight_noise.json"])
def test_a_damaged_file_of_sharpness_or_noise_stays_behind(run, name):
    (run.folder / name).write_text("[{}]")
    assert name not in read_run(run).files


def test_of_a_run_that_diverged_no_predictions_are_kept(run):
    _end(run, Status.DIVERGED)
    assert not [name for name in read_run(run).files if name.startswith("predictions")]


@pytest.mark.parametrize("status", [Status.FAILED, Status.INTERRUPTED])
def test_a_run_that_may_be_gone_on_with_is_refused(run, status):
    _end(run, status)
    with pytest.raises(PlanError, match=f"cannot be packed: it is {status.value}"):
        read_run(run)


def test_a_config_that_does_something_is_refused(run):
    files = dict(read_run(run).packed())
    files["config.py"] = b"import os\nos.abort()"
    with pytest.raises(ValueError, match=r"config\.py is more than data"):
        unpacked(files)
    run.config.write_bytes(files["config.py"])
    with pytest.raises(PlanError, match=r"cannot be packed: config\.py is more than data"):
        read_run(run)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("result.json", None, r"result\.json is missing"),
        ("run.json", b"{}", "Identity is damaged or of another version"),
        ("result.json", b'{"status": "better"}', "Result is damaged"),
        ("config.py", b"\xff", r"config\.py is damaged"),
        ("train.log", b"", r"it holds train\.log"),
        ("weight_dynamics.json", b"{}", r"weight_dynamics\.json is damaged"),
        ("weight_dynamics.json", None, r"weight_dynamics\.json is damaged"),
        ("sharpness.json", b"[{}]", r"sharpness\.json is damaged"),
        ("weight_noise.json", b"[{}]", r"weight_noise\.json is damaged"),
        ("../vis_data/scalars.json", b"", r"it holds \.\./vis"),
        ("predictions/a/b.json", b"", r"it holds predictions/a/b\.json"),
        ("predictions/val.bbox.json.npz", b"PK", "no columns"),
    ],
)
def test_files_that_are_not_those_of_a_run_are_refused(run, name, content, said):
    files = {**read_run(run).packed(), name: content}
    with pytest.raises(ValueError, match=said):
        unpacked({key: text for key, text in files.items() if text is not None})
