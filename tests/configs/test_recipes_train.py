"""Every arm of the mini recipes trains for two iterations, is scored, and is measured by every hook."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from wrs_mm import regularizers
from wrs_mm.datasets import mini_detection, mini_segmentation, render_mini
from wrs_mm.engine.hooks.dynamics_file import read

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "mini"

HOOKS = [
    {"type": "WeightDynamicsHook", "interval": 1},
    {"type": "SharpnessHook", "interval": 1, "batch_size": 2, "most_products": 2},
    {"type": "WeightNoiseHook", "images": 8, "layers": 2},
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mini")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini_detection, "SPLITS", {"train2017": 16, "val2017": 4, "test2017": 4})
        patch.setattr(mini_segmentation, "CITIES", {"train": {"a": 10}, "val": {"b": 5}, "test": {"c": 5}})
        render_mini(root / "data")
    return root


def assert_measured(work_dir: Path) -> None:
    found = read(work_dir)
    # Where the first forward is what tells the weights, the first update is not measured.
    assert found is not None and found.iterations.tolist() in ([1, 2], [2])
    # Before a BN that begins at 0 nothing turns at first.
    assert np.isfinite(found.of("norm")).all() and found.of("turn").max() > 0
    curvatures = json.loads((work_dir / "sharpness.json").read_text())
    assert [entry["iteration"] for entry in curvatures] == [0, 1, 2]
    # After so few products an eigenvalue is no more than a number.
    assert all(entry[key] is not None for entry in curvatures for key in ("sharpness", "sphere"))
    noise = json.loads((work_dir / "weight_noise.json").read_text())
    assert len(noise) == 2


DETECTOR = (
    "faster-rcnn_r18-narrow_fpn_mini-coco",
    {"train_cfg.max_epochs": 1, "train_cfg.val_interval": 1},
    "coco/bbox_mAP",
)
SEGMENTOR = (
    "pspnet_r18-narrow_mini-cityscapes",
    {"train_cfg.max_iters": 2, "train_cfg.val_interval": 2},
    "mIoU",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "options", "metric", "arm"),
    [
        *((*DETECTOR, arm) for arm in ("none", "wd", "wrs", "wrs_matched")),
        *((*SEGMENTOR, arm) for arm in regularizers.names()),
    ],
)
def test_every_arm_trains_and_is_scored(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: str,
    arm: str,
    options: dict[str, int],
    metric: str,
) -> None:
    monkeypatch.chdir(data)
    cfg = regularizers.apply_regularizer(Config.fromfile(CONFIGS / f"{recipe}.py"), arm)
    cfg.merge_from_dict(options)
    cfg.custom_hooks = [*cfg.get("custom_hooks", []), *HOOKS]
    cfg.experiment_name = f"{recipe}-{arm}-{tmp_path.name}"
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    before = {name: p.detach().clone() for name, p in runner.model.named_parameters()}
    runner.train()
    assert runner.iter == 2
    # Iterations count from 0 and the first step's learning rate is 1 % of the full one.
    moved = [name for name, p in runner.model.named_parameters() if not p.equal(before[name])]
    assert len(moved) > len(before) / 2
    assert_measured(tmp_path)
    score = runner.message_hub.get_scalar(f"val/{metric}").current()
    assert math.isfinite(score)
