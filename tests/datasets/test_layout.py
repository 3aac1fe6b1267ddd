"""What a config reads is looked for where the config says it is, and its maker is named if it is ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wrs_mm.datasets import render_mini, require_dataset
from wrs_mm.datasets.layout import with_remedy
from wrs_mm.errors import DatasetError


def _config(root: Path) -> dict[str, Any]:
    dataset = {
        "data_root": str(root),
        "ann_file": "annotations/instances_train2017.json",
        "data_prefix": {"img": "train2017/"},
    }
    return {
        "train_dataloader": {"dataset": dataset},
        "val_evaluator": {"ann_file": str(root / "annotations/instances_val2017.json")},
    }


def test_a_complete_set_passes(tiny_mini: Path) -> None:
    require_dataset(_config(tiny_mini / "mini-coco"))


def test_wrapped_datasets_are_looked_through(tmp_path: Path) -> None:
    inner = _config(tmp_path / "gone")["train_dataloader"]["dataset"]
    repeated = {"type": "RepeatDataset", "times": 2, "dataset": inner}
    joined = {"type": "ConcatDataset", "datasets": [repeated]}
    with pytest.raises(DatasetError, match="gone"):
        require_dataset({"train_dataloader": {"dataset": joined}})


@pytest.mark.parametrize(
    ("name", "command"), [("mini-coco", "wrs-mm data make mini"), ("real-neon", "wrs-mm data make real")]
)
def test_a_missing_set_says_which_command_makes_it(tmp_path: Path, name: str, command: str) -> None:
    with pytest.raises(DatasetError, match=command) as caught:
        require_dataset(_config(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_set_that_an_older_version_made_is_not_trained_on(tiny_mini: Path) -> None:
    path = tiny_mini / "mini-coco/wrs-mm.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "version": manifest["version"] - 1}))
    with pytest.raises(DatasetError, match="was made by another version") as caught:
        require_dataset(_config(tiny_mini / "mini-coco"))
    assert str(caught.value).endswith(f"run `wrs-mm data make mini --root {tiny_mini}`") and "\n" not in str(
        caught.value
    )
    render_mini(tiny_mini)
    require_dataset(_config(tiny_mini / "mini-coco"))


def test_a_set_without_its_test_split_says_which_command_makes_it(tiny_mini: Path) -> None:
    root = tiny_mini / "mini-coco"
    config = {"test_evaluator": {"ann_file": str(root / "annotations/instances_test2017.json")}}
    (root / "annotations/instances_test2017.json").unlink()
    with pytest.raises(DatasetError, match="wrs-mm data make mini"):
        require_dataset(config)
    render_mini(tiny_mini)
    require_dataset(config)


def test_a_missing_set_of_the_users_own_says_what_to_change(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="data_root"):
        require_dataset(_config(tmp_path / "coco"))


def test_what_is_read_by_address_or_means_something_else_is_left_to_who_reads_it() -> None:
    far = {"type": "A", "data_root": "s3://bucket/", "ann_file": "a.json", "data_prefix": {"img": "train/"}}
    own = {"type": "B", "ann_file": ["a.json"], "data_prefix": "train/"}
    for dataset in (far, own, {"type": "C", "ann_file": "", "data_prefix": {"img": "http://b/"}}):
        require_dataset({"train_dataloader": {"dataset": dataset}})
    require_dataset({"val_dataloader": {}, "val_evaluator": {"ann_file": "s3://bucket/a.json"}})


def test_a_missing_annotation_file_of_the_evaluator_is_found(tiny_mini: Path) -> None:
    (tiny_mini / "mini-coco/annotations/instances_val2017.json").unlink()
    with pytest.raises(DatasetError, match=r"instances_val2017\.json"):
        require_dataset(_config(tiny_mini / "mini-coco"))


def test_an_error_about_our_own_data_names_the_command_that_makes_it():
    error = with_remedy(DatasetError("data/mini-cityscapes/train does not exist"))
    assert str(error).endswith("or run `wrs-mm data make mini`")
    assert with_remedy(error) is error
    other = DatasetError("data/cityscapes/train does not exist")
    assert with_remedy(other) is other
