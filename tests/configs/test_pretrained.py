"""The option that gives a recipe another pretrained backbone, as docs/recipes.md has it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from arms import CONFIGS, load
from torch import Tensor

from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model
from wrs_mm.rescale_checkpoint import rescale_checkpoint
from wrs_mm.rescaling.functional import filter_norms

OPTION = "model.backbone.init_cfg.checkpoint"
PREFIX = "model.backbone.init_cfg.prefix"
DETECTOR = CONFIGS / "coco" / "retinanet_r50_fpn_syncbn_1x_coco_wd.py"
SEGMENTOR = CONFIGS / "cityscapes" / "fcn_r50-d8_4xb2-40k_cityscapes-512x1024_wd.py"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def classifier() -> dict[str, Tensor]:
    """The state of a ResNet-50 of torchvision, with random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return torchvision.models.resnet50().state_dict()


def assert_same(backbone: dict[str, Tensor], state: dict[str, Tensor]) -> None:
    assert backbone and all(state[name].equal(value) for name, value in backbone.items())


def test_a_rescaled_checkpoint_is_one(classifier: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(classifier, tmp_path / "resnet50.pth")
    rescale_checkpoint(DETECTOR, tmp_path / "resnet50.pth", tmp_path / "unit.pth")
    model = build_model(load_config(DETECTOR, {OPTION: str(tmp_path / "unit.pth")}), pretrained=True)
    assert_same(model.backbone.state_dict(), torch.load(tmp_path / "unit.pth"))
    norms = filter_norms(model.backbone.layer3[0].conv1.weight)
    torch.testing.assert_close(norms, torch.ones_like(norms))


def test_the_default_is_torchvisions(
    classifier: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where torch keeps what it downloaded, under the name that torchvision:// stands for.
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = Path(torchvision.models.ResNet50_Weights.IMAGENET1K_V1.url).name
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(classifier, tmp_path / "hub" / "checkpoints" / file)
    assert_same(build_model(load_config(DETECTOR), pretrained=True).backbone.state_dict(), classifier)
    rescale_checkpoint(DETECTOR, "torchvision://resnet50", tmp_path / "unit.pth")
    norms = filter_norms(torch.load(tmp_path / "unit.pth")["conv1.weight"])
    torch.testing.assert_close(norms, torch.ones_like(norms))


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_segmentors_have_the_same_option(prefix: str, tmp_path: Path) -> None:
    state = build_model(load("cityscapes", SEGMENTOR.stem.removesuffix("_wd")), seed=5).backbone.state_dict()
    torch.save({"state_dict": {prefix + k: v for k, v in state.items()}}, tmp_path / "resnet50_v1c.pth")
    options = {OPTION: str(tmp_path / "resnet50_v1c.pth"), **({PREFIX: prefix} if prefix else {})}
    model = build_model(load_config(SEGMENTOR, options), pretrained=True)
    assert_same(model.backbone.state_dict(), state)
