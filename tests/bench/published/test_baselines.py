"""The published numbers are those of the installed metafiles, in the tables and in the documents.

Also what document.py writes of them, and the hours that gpu_hours.py finds.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from wrs_mm.bench.plan.recipes import CONFIGS
from wrs_mm.bench.published import baselines, document, gpu_hours
from wrs_mm.bench.statistics.results import RESULT_COLUMNS, write_results
from wrs_mm.cli import main
from wrs_mm.errors import ConfigError, OptionError, PlanError

DOCUMENTS = [CONFIGS.parent / "README.md", CONFIGS.parent / "docs" / "reproduce.md"]
RECIPES = [path for dataset in baselines.DATASETS for path in baselines.recipes(dataset)]
FASTER = "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"


def _metafile_says(base: str) -> set[float]:
    """Every box AP, mask AP and mIoU that the metafile's text gives between this entry and the next."""
    _, _, name = base.partition("::")
    path = baselines.config_path(base)
    text = next(path.parent.glob("metafile.y*ml")).read_text()
    entries = re.split(r"(?m)^\s*- Name: ", text)
    entry = next(entry for entry in entries if f"Config: configs/{name}\n" in entry)
    return {float(value) for value in re.findall(r"(?:box AP|mask AP|mIoU): ([\d.]+)", entry)}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_each_recipe_s_numbers_are_those_of_its_base_s_metafile(path: Path) -> None:
    base = baselines.toolbox_base(path)
    known = baselines.published(base)
    assert known.metrics and set(known.metrics.values()) == _metafile_says(base)
    # The number shown must be of the same schedule: both names end on it.
    schedule = r"_([16]x|\d+k)_"
    assert re.search(schedule, path.stem.replace("-", "_")) is not None
    assert (
        re.search(schedule, path.stem.replace("-", "_"))[1]  # type: ignore[index]
        == re.search(schedule, known.name.replace("-", "_"))[1]  # type: ignore[index]
    )


def test_instance_segmentation_has_two_numbers() -> None:
    known = baselines.published("mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py")
    assert sorted(known.metrics) == ["box AP", "mask AP"]
    assert (known.name, known.memory) == ("mask-rcnn_r50_fpn_1x_coco", 4.4)


def test_a_config_without_an_entry_is_refused() -> None:
    with pytest.raises(ConfigError, match="no entry"):
        baselines.published("mmdet::faster_rcnn/faster-rcnn_r50_fpn_8xb8-amp-lsj-200e_coco.py")


def test_the_base_is_found_through_local_ones(tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text(f"_base_ = ['{FASTER}']\n")
    (tmp_path / "arm.py").write_text("_base_ = './recipe.py'\nx = 1\n")
    assert baselines.toolbox_base(tmp_path / "arm.py") == FASTER
    (tmp_path / "none.py").write_text("x = 1\n")
    with pytest.raises(ConfigError, match="inherits from 0"):
        baselines.toolbox_base(tmp_path / "none.py")


def test_only_recipes_that_train_the_published_network_have_its_number_as_theirs() -> None:
    for path in RECIPES:
        same = baselines.same_network(path, baselines.toolbox_base(path))
        assert same == ("_syncbn" not in path.stem), path


def test_every_cell_of_ours_says_that_nobody_measured_it() -> None:
    rows = [line for line in baselines.table().splitlines() if line.startswith("| `")]
    assert len(rows) == len(RECIPES)
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1].startswith("published: ") and cells[2:] == [baselines.UNMEASURED] * 3


def _write_results(folder: Path, **settings: object) -> Path:
    """A work dir with two runs of one arm, as if from a plan with two seeds."""
    shared = {
        "recipe": "coco/faster-rcnn_r50_fpn_frozenbn_1x_coco",
        "regularizer": "wrs",
        "dataset": "coco",
        "options": "{}",
        "settings": "{}",
        "cfg_options": "{}",
        "split": "tune",
        "optimizer": "recipe",
        "status": "done",
        "checkpoint": "last",
        "metric": "bbox_mAP",
        **settings,
    }
    rows = [{**shared, "seed": seed, "value": value} for seed, value in enumerate([37.0, 38.0])]
    folder.mkdir()
    write_results(pd.DataFrame(rows).reindex(columns=list(RESULT_COLUMNS)), folder / "results.csv")
    return folder


def test_results_fill_the_cell_of_their_recipe_and_arm(tmp_path: Path) -> None:
    table = baselines.table([_write_results(tmp_path / "a")])
    row = next(line for line in table.splitlines() if "`faster-rcnn_r50_fpn_frozenbn_1x_coco` |" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2:] == [baselines.UNMEASURED, baselines.UNMEASURED, "box AP 37.50 ± 0.71, 2 seeds"]
    assert table.count("seeds") == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"dataset": "standin-coco"},
        {"learning_rate": 0.01},
        {"cfg_options": '{"train_cfg.max_epochs": 1}'},
        {"options": '{"weight_decay": 0.001}'},
        {"settings": '{"lr": 0.01}'},
        {"trial": 3},
        {"split": "test"},
        {"checkpoint": "best"},
        {"status": "diverged"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_results_of_anything_but_the_recipe_do_not_count(settings: dict, tmp_path: Path) -> None:
    assert baselines.measured([_write_results(tmp_path / "a", **settings)]).empty
    assert len(baselines.measured([_write_results(tmp_path / "b")])) == 2


def test_a_work_dir_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="does not exist"):
        baselines.table([tmp_path / "nowhere"])


def test_gpu_hours_are_images_times_time_for_one() -> None:
    speed = gpu_hours.Speed(seconds=0.36, images=2, of="", source="")
    assert gpu_hours.gpu_hours(20000, speed) == pytest.approx(1.0)


def test_images_seen_follow_the_schedule() -> None:
    config = baselines.read_config(FASTER)
    assert gpu_hours.images_seen(config, "coco") == 12 * 117266
    assert gpu_hours.gpus(config) == 8
    pspnet = baselines.read_config("mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py")
    assert gpu_hours.images_seen(pspnet, "cityscapes") == 40000 * 8
    assert gpu_hours.gpus(pspnet) == 4


def test_a_plan_s_gpu_hours_are_those_of_its_runs(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    recipes = "[coco/retinanet_r50_fpn_syncbn_1x_coco, cityscapes/fcn_r50-d8_4xb2-40k_cityscapes-512x1024]"
    plan.write_text(f"name: p\nrecipes: {recipes}\nregularizers: [wd, wrs]\nseeds: [0, 1]\nbaseline: wd\n")
    hours, known, count = gpu_hours.plan_gpu_hours(plan)
    one = gpu_hours.gpu_hours(12 * 117266, gpu_hours.SPEEDS["retinanet"])
    assert (known, count) == (4, 8) and hours == pytest.approx(4 * one)


def test_an_epoch_of_coco_is_what_the_check_of_the_data_counts() -> None:
    from wrs_mm.datasets.check_coco import ANNOTATED

    assert ANNOTATED["train2017"] == gpu_hours.EPOCH


def test_the_tables_in_the_documents_are_what_the_code_makes() -> None:
    texts = [path.read_text() for path in DOCUMENTS]
    tables = [table for text in texts if (table := document.read_section(text, "published"))]
    hours = [table for text in texts if (table := document.read_section(text, "gpu-hours"))]
    assert tables and hours
    # Cells of ours may hold what somebody measured since; no published number may differ.
    assert all(_without_ours(table) == _without_ours(baselines.table()) for table in tables)
    assert all(table == gpu_hours.table() for table in hours)


def _without_ours(table: str) -> list[object]:
    return [line.split(" | ")[:2] if line.startswith("| ") else line for line in table.splitlines()]


def test_the_command_fills_the_places_of_a_document(tmp_path: Path, capsys) -> None:
    page = tmp_path / "doc.md"
    page.write_text("before\n<!-- gpu-hours -->old<!-- /gpu-hours -->\nafter\n")
    assert main.main(["bench", "baselines", "--into", str(page)]) == 0
    text = page.read_text()
    assert text.startswith("before\n<!-- gpu-hours -->\n| recipe |") and text.endswith("-->\nafter\n")
    assert "old" not in text
    # A second time changes nothing.
    assert main.main(["bench", "baselines", "--into", str(page)]) == 0
    assert page.read_text() == text


def test_a_document_without_a_place_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "doc.md"
    page.write_text("nothing\n")
    with pytest.raises(OptionError, match="no place for a table"):
        document.show_baselines(into=page)
    assert page.read_text() == "nothing\n"
    with pytest.raises(OptionError, match="cannot be read"):
        document.show_baselines(into=tmp_path / "nowhere.md")
