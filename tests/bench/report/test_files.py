"""The files of a report."""

from __future__ import annotations

import pandas as pd
import pytest

from wrs_mm.bench.report.files import collect, write_tables
from wrs_mm.bench.runs.predictions import FOLDER
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics import over_images


def test_last_and_best_have_tables_of_their_own(benchmark):
    path = benchmark.work_dir.path
    for name, checkpoint in (("table", "last"), ("table_best", "best")):
        assert set(pd.read_csv(path / f"{name}.csv")["checkpoint"]) == {checkpoint}
        tex = (path / f"{name}.tex").read_text()
        assert f"{checkpoint} checkpoint" in tex
        assert ("best checkpoint" in tex) == (checkpoint == "best")
    titles = [line for line in (path / "table.md").read_text().splitlines() if line.startswith("## ")]
    assert "## Detection: last checkpoint" in titles
    assert "## Detection: best checkpoint" in titles
    assert "## Segmentation: how far it depends on the images" in titles


def test_every_pair_of_runs_has_intervals_over_images(benchmark):
    images = benchmark.report.images
    # Of none, seed 1 has diverged: 3 of wrs and 2 of none.
    assert images.groupby(["task", "metric"]).size().to_dict() == {
        ("detection", "bbox_mAP"): 5,
        ("detection", "bbox_mAP_50"): 5,
        ("detection", "bbox_mAP_75"): 5,
        ("segmentation", "mIoU"): 5,
    }
    assert (images["low"] <= images["difference"]).all()
    assert (images["difference"] <= images["high"]).all()
    assert images["difference"].to_numpy() == pytest.approx(
        (images["value"] - images["baseline_value"]).to_numpy()
    )
    assert benchmark.report.notes == []


def test_a_second_report_resamples_nothing_and_says_the_same(benchmark, monkeypatch):
    def resample(*args: object, **kwargs: object) -> None:
        raise AssertionError("the intervals are known")

    monkeypatch.setattr(over_images, "paired_bootstrap", resample)
    monkeypatch.setattr("wrs_mm.bench.statistics.evaluations.match_detections", resample)
    again = collect(benchmark.work_dir, with_images=True)
    pd.testing.assert_frame_equal(again.images, benchmark.report.images, check_dtype=False)


def test_without_images_what_is_known_is_shown(benchmark):
    shown = collect(benchmark.work_dir)
    assert len(shown.images) == len(benchmark.report.images)
    assert shown.evaluated == []


def test_a_work_dir_without_results_or_predictions_still_has_its_files(tmp_path):
    work_dir = WorkDir(tmp_path)
    work_dir.register("nothing yet", [])
    report = collect(work_dir, with_images=True)
    write_tables(report)
    assert report.summaries["last"].empty
    assert (tmp_path / "table.md").read_text().startswith("# nothing yet")
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 1
    assert (tmp_path / "images.csv").exists()


def test_runs_without_usable_predictions_are_named(tmp_path):
    from made_up import make_work_dir

    work_dir = make_work_dir(tmp_path / "work", seeds=1)
    detector, _, _, segmentor, _, _ = (work_dir.run(spec) for spec in work_dir.specs())
    for file in (detector.folder / FOLDER).iterdir():
        file.unlink()
    result = segmentor.result()
    assert result is not None
    segmentor.clear_result()
    segmentor.write_result(result.model_copy(update={"metrics": {"mIoU": 1.0}}))
    report = collect(work_dir, with_images=True)
    assert sorted(note.rpartition(":")[0] == detector.name for note in report.notes) == [False, True]
    assert any("its result says 1.00; left out" in note for note in report.notes)
    assert set(report.images["regularizer"]) == {"wrs"}


def test_best_checkpoints_with_the_numbers_of_the_last_ones_have_no_second_table(tmp_path):
    from made_up import make_work_dir

    work_dir = make_work_dir(tmp_path / "work", seeds=1)
    for spec in work_dir.specs():
        run = work_dir.run(spec)
        result = run.result()
        assert result is not None and result.best is not None
        if result.task == "detection":
            best = result.best.model_copy(update={"metrics": result.metrics})
            run.clear_result()
            run.write_result(result.model_copy(update={"best": best}))
    report = collect(work_dir)
    write_tables(report)
    text = (work_dir.path / "table.md").read_text()
    assert report.same_as_best == {"detection"}
    assert "## Detection: best checkpoint" not in text
    assert "## Segmentation: best checkpoint" in text
    assert text.count("the same numbers as the last one") == 1
    # The files of their own hold all numbers as ever.
    assert "Detection: best checkpoint" in (work_dir.path / "table_best.tex").read_text()
    assert set(pd.read_csv(work_dir.path / "table_best.csv")["task"]) == {"detection", "segmentation"}
