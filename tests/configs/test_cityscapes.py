"""The recipes for Cityscapes: what they change of mmseg's, and that every arm of each trains at full size."""

from __future__ import annotations

import re
from typing import Any

import pytest
from arms import ARMS, CONFIGS, Subject, build, check_arm, documented_counts, load, plain, recipes_in

from wrs_mm.openmmlab.configs import load_config

BISENETV2 = "bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024"
COUNTS = {
    # recipe: convolution and linear weights that WRS rescales, and all
    BISENETV2: (61, 68),
    "deeplabv3_r50-d8_4xb2-40k_cityscapes-512x1024": (62, 64),
    "deeplabv3_r50-d8_4xb2-80k_cityscapes-512x1024": (62, 64),
    "deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024": (70, 72),
    "deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024": (70, 72),
    "fcn_r50-d8_4xb2-40k_cityscapes-512x1024": (59, 61),
    "fcn_r50-d8_4xb2-80k_cityscapes-512x1024": (59, 61),
    "pspnet_r50-d8_4xb2-40k_cityscapes-512x1024": (61, 63),
    "pspnet_r50-d8_4xb2-80k_cityscapes-512x1024": (61, 63),
}


def base_of(recipe: str) -> dict[str, Any]:
    return plain(load_config(f"mmseg::{recipe.split('_')[0]}/{recipe}.py"))


def test_no_config_is_forgotten() -> None:
    assert recipes_in("cityscapes") == sorted(COUNTS)
    arms = {f"{recipe}_{arm}" for recipe in COUNTS for arm in ARMS}
    assert {path.stem for path in (CONFIGS / "cityscapes").iterdir() if path.suffix} == arms | set(COUNTS)


def test_the_documented_counts_are_the_tested_ones() -> None:
    assert documented_counts("cityscapes") == COUNTS


@pytest.mark.parametrize("recipe", COUNTS)
def test_recipe_is_mmsegs_but_for_the_place_that_names_the_pretrained_weights(recipe: str) -> None:
    config, base = plain(load("cityscapes", recipe)), base_of(recipe)
    del config["custom_imports"]
    # The batch that the name tells: 4xb2 is 4 GPUs with 2 images each.
    gpus, images = re.search(r"_(\d+)xb(\d+)-", recipe).groups()  # type: ignore[union-attr]
    assert config.pop("auto_scale_lr") == {"base_batch_size": int(gpus) * int(images)}
    if recipe != BISENETV2:
        # mmseg's segmentor hands ``pretrained`` on to its backbone, which makes this init_cfg of it.
        pretrained = base["model"].pop("pretrained")
        assert config["model"].pop("pretrained") is None
        init = config["model"]["backbone"].pop("init_cfg")
        assert init == {"type": "Pretrained", "checkpoint": pretrained}
    assert config == base


LONG = [recipe for recipe in COUNTS if "-40k_" not in recipe]
"""One recipe of each model; the 40k ones train the same with a shorter schedule."""


@pytest.mark.parametrize("recipe", [recipe for recipe in COUNTS if "-40k_" in recipe])
@pytest.mark.parametrize("arm", [None, *ARMS])
def test_a_shorter_recipe_differs_in_its_schedule_only(recipe: str, arm: str | None) -> None:
    short, long = (
        plain(load("cityscapes", name, arm)) for name in (recipe, recipe.replace("-40k_", "-80k_"))
    )
    schedule = {"train_cfg", "param_scheduler", "default_hooks"}
    assert {key for key in short.keys() | long.keys() if short.get(key) != long.get(key)} <= schedule
    assert COUNTS[recipe] == COUNTS[recipe.replace("-40k_", "-80k_")]


@pytest.fixture(scope="module", params=LONG)
def subject(request: pytest.FixtureRequest) -> Subject:
    return build("cityscapes", request.param)


@pytest.mark.slow
def test_the_audit_finds_the_expected_weights(subject: Subject) -> None:
    assert (len(subject.rescaled), len(subject.verdicts)) == COUNTS[subject.recipe]
    assert all(v.scale_invariant for v in subject.rescaled)


@pytest.mark.slow
@pytest.mark.parametrize("arm", ARMS)
def test_two_steps_leave_what_the_arm_promises(subject: Subject, arm: str) -> None:
    check_arm(subject, arm)
