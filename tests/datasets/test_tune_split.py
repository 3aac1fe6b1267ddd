"""The parts of COCO's and Cityscapes' train splits to tune on, as every recipe's own classes read them."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from standins import loader, perfect_score, reduced

from wrs_mm.bench.plan.config_keys import override
from wrs_mm.bench.published.baselines import recipes
from wrs_mm.cli import main
from wrs_mm.datasets import check_coco, mini_detection, render_standins, require_dataset, standin, tune_split
from wrs_mm.errors import DatasetError

SCOPES = {"coco": "mmdet", "cityscapes": "mmseg"}
RECIPES = [(dataset, recipe) for dataset in SCOPES for recipe in recipes(dataset)]


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both stand-ins with a handful of images, of which a share is to tune on."""
    root = tmp_path_factory.mktemp("standins")
    cities = {"train": {"aachen": 2, "weimar": 2, "zurich": 3}, "val": {"munster": 2}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini_detection, "SPLITS", {"train2017": 12, "val2017": 3})
        patch.setattr(standin, "CITIES", cities)
        patch.setattr(check_coco, "IMAGES", {"train2017": 20, "val2017": 5})
        patch.setattr(tune_split, "COCO_IMAGES", 5)
        render_standins(root)
        found = {dataset: root / f"standin-{dataset}" for dataset in SCOPES}
        for dataset, folder in found.items():
            tune_split.split(dataset, folder, any_size=True)
    return found


def _names(loader: Any) -> set[str]:
    """The images that a loader reads, by folder and name."""
    dataset = loader.dataset
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    names = ["/".join(Path(info["img_path"]).parts[-2:]) for info in infos]
    assert len(set(names)) == len(names)
    return set(names)


def test_the_images_to_tune_on_are_those_of_the_smallest_hashes() -> None:
    ids = range(1000)
    hashes = {number: hashlib.sha256(f"{number}".encode()).hexdigest() for number in ids}
    chosen = tune_split.ids_to_tune_on(ids, 100)
    assert len(chosen) == 100
    assert max(hashes[number] for number in chosen) < min(hashes[i] for i in ids if i not in chosen)
    assert tune_split.ids_to_tune_on(reversed(ids), 100) == chosen


def test_of_coco_exactly_5000_images_are_to_tune_on() -> None:
    ids = [5 * index + 7 for index in range(check_coco.IMAGES["train2017"])]
    assert len(tune_split.ids_to_tune_on(ids)) == 5000
    # The rule is part of what results mean: the same numbers for ever.
    assert sorted(tune_split.ids_to_tune_on(range(1, 101), 5)) == [39, 49, 51, 55, 65]


def test_the_two_parts_of_coco_are_all_of_train2017(roots: dict[str, Path]) -> None:
    root = roots["coco"]
    whole = json.loads((root / "annotations/instances_train2017.json").read_text())
    tune, rest = (json.loads((root / name).read_text()) for name in tune_split.COCO_FILES)
    assert len(tune["images"]) == 3  # a quarter of twelve
    for key, identify in (("images", "id"), ("annotations", "image_id")):
        joined = sorted(tune[key] + rest[key], key=lambda entry: entry["id"])
        assert joined == whole[key]
        assert not {e[identify] for e in tune[key]} & {e[identify] for e in rest[key]}
    assert tune["categories"] == rest["categories"] == whole["categories"]


@pytest.mark.parametrize(
    ("dataset", "recipe"), RECIPES, ids=[f"{dataset}-{recipe.stem}" for dataset, recipe in RECIPES]
)
def test_any_recipe_trains_on_one_part_validates_on_the_other_and_tests_on_val(
    dataset: str, recipe: Path, roots: dict[str, Path]
) -> None:
    root, scope = roots[dataset], SCOPES[dataset]
    config = reduced(recipe, root)
    whole = {split: _names(loader(config, split, scope)) for split in ("train", "val", "test")}
    override(config, tune_split.options(dataset, root))
    require_dataset(config)
    parts = {split: _names(loader(config, split, scope)) for split in ("train", "val", "test")}
    assert parts["train"] | parts["val"] == whole["train"] and parts["train"] and parts["val"]
    assert not parts["train"] & parts["val"]
    assert parts["test"] == whole["test"] == whole["val"]


@pytest.mark.parametrize("dataset", SCOPES)
def test_the_recipe_s_evaluator_scores_the_part_to_tune_on(dataset: str, roots: dict[str, Path]) -> None:
    config = reduced(recipes(dataset)[0], roots[dataset])
    override(config, tune_split.options(dataset, roots[dataset]))
    val = loader(config, "val", SCOPES[dataset])
    score = perfect_score(config, val.dataset, list(val), SCOPES[dataset])
    assert score["coco/bbox_mAP"] == 1.0 if dataset == "coco" else score["mIoU"] == 100.0


@pytest.mark.parametrize("dataset", SCOPES)
def test_the_command_prints_what_a_plan_needs(
    dataset: str, roots: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["data", "split", dataset, str(roots[dataset]), "--any-size"]) == 0
    out = capsys.readouterr().out
    assert yaml.safe_load(out) == {"cfg_options": tune_split.options(dataset, roots[dataset])}
    for name in tune_split.COCO_FILES if dataset == "coco" else tune_split.CITYSCAPES_FILES:
        assert f"# {roots[dataset] / name}: " in out


@pytest.mark.parametrize("dataset", SCOPES)
def test_the_documents_show_what_the_command_prints(dataset: str) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/recipes.md").read_text(encoding="utf-8")
    shown = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert {"cfg_options": tune_split.options(dataset, Path("data") / dataset)} in shown


@pytest.mark.parametrize("dataset", SCOPES)
def test_a_set_of_another_size_or_none_is_refused(
    dataset: str, roots: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match="--any-size") as caught:
        tune_split.split(dataset, roots[dataset])
    assert "\n" not in str(caught.value)
    with pytest.raises(DatasetError, match=f"run `wrs-mm data check {dataset}"):
        tune_split.split(dataset, tmp_path)


def test_cities_without_images_are_named(tmp_path: Path) -> None:
    (tmp_path / "leftImg8bit/train/zurich").mkdir(parents=True)
    (tmp_path / "leftImg8bit/train/zurich/zurich_000000_000019_leftImg8bit.png").touch()
    with pytest.raises(DatasetError, match="no images of weimar,"):
        tune_split.split("cityscapes", tmp_path, any_size=True)


@pytest.mark.parametrize("count", [0, 1])
def test_a_set_with_nothing_for_one_of_the_parts_is_refused(count: int, tmp_path: Path) -> None:
    content = {"images": [{"id": number} for number in range(count)], "annotations": [], "categories": []}
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_train2017.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=f"parted into {count} images to tune on and 0 others"):
        tune_split.split("coco", tmp_path, any_size=True)
    (city := tmp_path / "leftImg8bit" / "train" / "weimar").mkdir(parents=True)
    (city / "weimar_000000_000000_leftImg8bit.png").touch()
    (other := city.with_name("zurich")).mkdir()
    (other / "zurich_000000_000000_leftImg8bit.png").touch()
    with pytest.raises(DatasetError, match="parted into 2 images to tune on and 0 others"):
        tune_split.split("cityscapes", tmp_path, any_size=True)
    assert not (tmp_path / "tune.txt").exists()


@pytest.mark.parametrize("dataset", SCOPES)
def test_a_run_without_the_files_says_what_writes_them(
    dataset: str, roots: dict[str, Path], tmp_path: Path
) -> None:
    root = tmp_path / dataset
    (root / "train2017").mkdir(parents=True)
    (root / "leftImg8bit/train").mkdir(parents=True)
    config = reduced(recipes(dataset)[0], root)
    override(config, tune_split.options(dataset, root))
    with pytest.raises(DatasetError, match=f"run `wrs-mm data split {dataset} {root}`"):
        require_dataset({"train_dataloader": config.train_dataloader})
