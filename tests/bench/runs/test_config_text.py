"""Configs as text are mmengine's, each part laid out once."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from wrs_mm.bench.plan.recipes import find_recipe
from wrs_mm.bench.runs.config_text import ConfigTexts
from wrs_mm.openmmlab.configs import load_config


@pytest.mark.parametrize(
    "recipe",
    [
        "mini/faster-rcnn_r18-narrow_fpn_mini-coco",
        "mini/pspnet_r18-narrow_mini-cityscapes",
        "mmdet::retinanet/retinanet_r50_fpn_1x_coco",
    ],
)
def test_the_text_is_that_of_mmengine(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(find_recipe(recipe, Path()))
    texts = ConfigTexts()
    assert texts.text(config) == config.pretty_text
    # Once more, of another run: only what is new is laid out.
    config.randomness = {"seed": 7, "deterministic": True}
    expected = config.pretty_text
    laid_out: list[str] = []
    pretty = Config.pretty_text.fget
    assert pretty is not None
    monkeypatch.setattr(
        Config, "pretty_text", property(lambda self: (laid_out.extend(self.to_dict()), pretty(self))[1])
    )
    assert texts.text(config) == expected
    assert laid_out == ["randomness"]
