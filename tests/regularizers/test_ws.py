"""The arm ``ws``: a builder in the place of the model's type. What it builds: tests/layers."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.errors import OptionError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.regularizers import apply_regularizer
from wrs_mm.regularizers.overlay import overlay

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.mark.parametrize(
    ("arm", "options", "changed"),
    [
        ("ws", {}, {"type": "WeightStandardized"}),
        ("ic", {"p": 0.1}, {"type": "IndependentComponents", "p": 0.1}),
    ],
)
def test_of_a_recipe_only_how_its_model_is_built_changes(arm: str, options: dict, changed: dict) -> None:
    recipe = load_config(CONFIGS / "mini" / "retinanet_r18-narrow_fpn_mini-coco.py")
    made = apply_regularizer(recipe, arm, **options).to_dict()
    before = recipe.to_dict()
    assert made.pop("model") == {**before.pop("model"), **changed, "of": "RetinaNet"}
    assert made == before


def test_its_overlay_is_two_lines_of_the_model() -> None:
    source = CONFIGS / "mini" / "retinanet_r18-narrow_fpn_mini-coco.py"
    written = overlay(load_config(source), "ws", source)
    assert written.endswith("model = dict(of='RetinaNet', type='WeightStandardized')\n")


@pytest.mark.parametrize("arm", ["ws", "ic"])
@pytest.mark.parametrize(
    "source",
    [
        "mmdet::retinanet/retinanet_r50_fpn_1x_coco",
        "mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024",
    ],
)
def test_a_pretrained_recipe_of_a_toolbox_is_refused_in_one_line(source: str, arm: str) -> None:
    with pytest.raises(OptionError, match=f"^{arm}: the recipe starts from pretrained weights") as caught:
        apply_regularizer(load_config(source), arm)
    assert "\n" not in str(caught.value)
