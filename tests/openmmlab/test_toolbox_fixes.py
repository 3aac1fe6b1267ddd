"""What is broken in a toolbox works, whenever it was imported."""

from __future__ import annotations

import subprocess
import sys

import torch

from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch

SSD = "mmdet::ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py"


def test_ssd_predicts() -> None:
    model = build_model(load_config(SSD, {"model.test_cfg.score_thr": 0.0})).eval()
    with torch.no_grad():
        (found,) = model.val_step(random_batch(model, batch_size=1, size=(96, 96), evaluation=True))
    assert len(found.pred_instances.scores) > 0


def test_a_module_that_was_imported_before_is_mended_too() -> None:
    """Where compiled mmcv is installed mmdet can come first; here the finder is taken out for it."""
    script = """
import sys, wrs_mm
from wrs_mm.openmmlab.toolbox_fixes import _FixingFinder, fix_toolboxes
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _FixingFinder)]
from mmdet.models.dense_heads.ssd_head import SSDHead
assert not hasattr(SSDHead, "loss_cls")
fix_toolboxes(); fix_toolboxes()
assert SSDHead.loss_cls is None
assert sum(isinstance(finder, _FixingFinder) for finder in sys.meta_path) == 1
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-500:]
