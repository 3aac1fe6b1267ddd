"""What is broken in a toolbox works, whenever it was imported."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope

from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch

SSD = "mmdet::ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py"


def test_ssd_predicts() -> None:
    model = build_model(load_config(SSD, {"model.test_cfg.score_thr": 0.0})).eval()
    with torch.no_grad():
        (found,) = model.val_step(random_batch(model, batch_size=1, size=(96, 96), evaluation=True))
    assert len(found.pred_instances.scores) > 0


@pytest.mark.parametrize("moved", [[0.0, 90.0], [90.0, 0.0], [-90.0, 0.0], [0.0, -90.0]])
def test_a_mask_outside_the_image_is_pasted_to_nothing_and_the_others_where_they_are(
    moved: list[float],
) -> None:
    options = {"num_convs": 1, "num_classes": 1, "class_agnostic": True}
    # Its loss is named without a scope: whatever an earlier test has left must not matter.
    with DefaultScope.overwrite_default_scope("mmdet"):
        head = MODELS.build({"type": "mmdet.FCNMaskHead", **options})
    boxes = torch.tensor([[10.0, 10.0, 20.0, 25.0]]).repeat(2, 1)
    boxes[1] += torch.tensor(moved * 2)
    config = ConfigDict(mask_thr_binary=0.5)
    meta = {"scale_factor": (1.0, 1.0), "ori_shape": (40, 48)}
    logits = torch.full((2, 1, 28, 28), 9.0)
    labels = torch.zeros(2, dtype=torch.int64)
    inside, outside = head._predict_by_feat_single(logits, boxes, labels, meta, config, rescale=True)
    expected = torch.zeros(40, 48, dtype=torch.bool)
    expected[10:25, 10:20] = True
    assert torch.equal(inside, expected) and not outside.any()


def test_sans_head_begins_without_a_checkpoint_of_clip() -> None:
    from mmseg.models.decode_heads.san_head import RecWithAttnbias

    part = RecWithAttnbias(num_layers=1, embed_dims=8, num_heads=2, out_dims=4)
    before = {name: value.clone() for name, value in part.state_dict().items()}
    part.init_weights(None)
    assert all(torch.equal(value, before[name]) for name, value in part.state_dict().items())
    part.init_weights({"proj.weight": torch.ones(4, 8)})
    assert bool((part.proj.weight == 1).all())


def test_sans_text_encoder_has_finite_initial_weights() -> None:
    from mmseg.models.text_encoder.clip_text_encoder import CLIPTextEncoder

    torch.use_deterministic_algorithms(True)  # new memory is NaN then
    try:
        with DefaultScope.overwrite_default_scope("mmseg"):
            encoder = CLIPTextEncoder(
                vocabulary=["tree"], embed_dims=16, num_layers=1, num_heads=2, output_dims=8
            )
            encoder.init_weights()
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(bool(value.isfinite().all()) for value in encoder.state_dict().values())
    assert float(encoder.text_projection.std()) == pytest.approx(16**-0.5, rel=0.3)


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
