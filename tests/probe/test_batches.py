"""Batches of a config's own training data."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from small_recipe import RECIPE, write_recipe

from wrs_mm.errors import ConfigError, DatasetError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.probe.batches import training_batches

TRAINING = """
sampler = dict(type='DefaultSampler', shuffle=True)
train_dataloader.update(sampler=sampler, num_workers=2, persistent_workers=True)
pipeline[:] = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
train_dataloader['dataset']['pipeline'] = pipeline
"""


def recipe(folder: Path, images: int) -> Path:
    for name, suffix in (("images", ".jpg"), ("labels", ".png")):
        (folder / "tiles" / name).mkdir(parents=True)
        for number in range(images):
            picture = Image.new("L" if name == "labels" else "RGB", (8, 8), number)
            picture.save(folder / "tiles" / name / f"{number}{suffix}")
    text = RECIPE.replace("somewhere/tiles", str(folder / "tiles")) + TRAINING
    return write_recipe(folder, text=text)


def test_they_are_the_first_of_a_training_and_the_same_each_time(tmp_path: Path) -> None:
    config = load_config(recipe(tmp_path, 7))
    once, again = (training_batches(config, 5, 2, seed=0) for _ in range(2))
    assert len(once) == 3, "7 images are three batches of 2"
    assert [len(batch["inputs"]) for batch in once] == [2, 2, 2]
    for one, other in zip(once, again, strict=True):
        assert all(map(torch.equal, one["inputs"], other["inputs"]))
    assert len(training_batches(config, 2, 2, seed=0)) == 2
    assert config.train_dataloader.num_workers == 2, "the config is left as it is"


def test_too_little_data_missing_data_and_none_are_one_line(tmp_path: Path) -> None:
    config = load_config(recipe(tmp_path, 3))
    with pytest.raises(ConfigError, match="not two batches: choose a smaller --batch-size"):
        training_batches(config, 2, 2, seed=0)
    config.train_dataloader.dataset.data_root = str(tmp_path / "gone")
    with pytest.raises(DatasetError, match="does not exist"):
        training_batches(config, 2, 2, seed=0)
    config.train_dataloader = None
    with pytest.raises(ConfigError, match="leave --dataset out"):
        training_batches(config, 2, 2, seed=0)
