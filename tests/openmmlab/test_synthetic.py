"""Models built without downloads, and batches as the toolboxes' own pipelines pack them.

The batches are those of synthetic_batch.py.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import nn

from wrs_mm.borrowed import seeded
from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch, smallest_size, train_loss
from wrs_mm.openmmlab.synthetic_batch import IGNORED

RTMDET = "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"
QDTRACK = "mmdet::qdtrack/qdtrack_faster-rcnn_r50_fpn_8xb2-4e_mot17halftrain_test-mot17halfval.py"
RTMDET_INS = "mmdet::rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py"
RETINANET = "mmdet::retinanet/retinanet_r18_fpn_1x_coco.py"
PANOPTIC_FPN = "mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py"
FAST_RCNN = "mmdet::fast_rcnn/fast-rcnn_r50_fpn_1x_coco.py"
BISENET = "mmseg::bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py"
PIDNET = "mmseg::pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py"
MOBILENET_V3 = "mmseg::mobilenet_v3/mobilenet-v3-d8-s_lraspp_4xb4-320k_cityscapes-512x1024.py"


@cache
def model_of(name: str) -> nn.Module:
    return build_model(load_config(name))


# -- the model ----------------------------------------------------------------------------------------


def test_a_model_is_built_without_pretrained_weights_and_without_changing_its_config() -> None:
    config = load_config(RETINANET)
    assert config.model.backbone.init_cfg.type == "Pretrained"
    before = copy.deepcopy(config.model.to_dict())
    model = build_model(config)
    assert config.model.to_dict() == before
    assert "Pretrained" not in str(model.backbone.init_cfg)


def test_the_seed_makes_the_weights_and_nothing_else_does() -> None:
    config = load_config(BISENET)
    first, again, other = (build_model(config, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_a_model_trains_with_plain_bn_and_keeps_frozen_what_its_config_freezes() -> None:
    synchronized = model_of(BISENET)
    assert load_config(BISENET).norm_cfg.type == "SyncBN"
    assert not any(isinstance(m, nn.SyncBatchNorm) for m in synchronized.modules())
    assert synchronized.training and all(m.training for m in synchronized.modules())
    frozen = model_of(RETINANET)
    assert frozen.training and not frozen.backbone.bn1.training
    assert not frozen.backbone.layer1[0].conv1.weight.requires_grad


def test_what_cannot_be_built_is_said_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"no model=dict"):
        build_model(Config({"default_scope": "mmdet"}))
    with pytest.raises(ConfigError, match="cannot be built"):
        build_model(Config({"model": {"type": "NoSuchDetector"}, "default_scope": "mmdet"}))


# -- the batch ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [RTMDET_INS, PIDNET])
def test_the_seed_makes_the_batch(name: str) -> None:
    model = model_of(name)
    first, again, other = (random_batch(model, size=(64, 96), seed=seed) for seed in (0, 0, 1))
    for a, b, c in zip(first["inputs"], again["inputs"], other["inputs"], strict=True):
        assert a.shape == (3, 64, 96) and a.dtype == torch.uint8
        assert torch.equal(a, b) and not torch.equal(a, c)
    losses = [train_loss(model, batch, seed=0).item() for batch in (first, again, other)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize(("empty", "objects"), [(False, [True] * 3), ("first", [False, True, True]),
                                                ("all", [False] * 3)])  # fmt: skip
def test_images_without_objects_are_where_they_were_asked_for(empty: Any, objects: list[bool]) -> None:
    detection = random_batch(model_of(RTMDET), batch_size=3, empty=empty)["data_samples"]
    assert [len(sample.gt_instances) > 0 for sample in detection] == objects
    segmentation = random_batch(model_of(BISENET), batch_size=3, empty=empty)["data_samples"]
    assert [bool((s.gt_sem_seg.data != IGNORED).any()) for s in segmentation] == objects


def test_boxes_lie_in_the_image_and_masks_in_their_boxes() -> None:
    for sample in random_batch(model_of(RTMDET_INS), batch_size=4, size=(64, 96))["data_samples"]:
        instances = sample.gt_instances
        boxes = instances.bboxes.tensor.numpy()
        assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= (96, 64)).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert instances.labels.min() >= 0 and instances.labels.max() < 80
        for mask, (x1, y1, x2, y2) in zip(instances.masks.masks, boxes, strict=True):
            rows, columns = np.nonzero(mask)
            assert len(rows) > 0
            assert rows.min() >= np.floor(y1) and rows.max() <= y2
            assert columns.min() >= np.floor(x1) and columns.max() <= x2


def test_a_batch_holds_what_the_models_loss_reads() -> None:
    boxes_only = random_batch(model_of(RTMDET))["data_samples"][0]
    assert "masks" not in boxes_only.gt_instances and "proposals" not in boxes_only
    panoptic = random_batch(model_of(PANOPTIC_FPN))["data_samples"][0]
    assert "masks" in panoptic.gt_instances
    assert int(panoptic.gt_sem_seg.sem_seg[panoptic.gt_sem_seg.sem_seg != IGNORED].max()) < 80 + 53
    assert len(random_batch(model_of(FAST_RCNN))["data_samples"][0].proposals) > 0


def test_labels_of_a_segmentor_are_its_classes_or_ignored() -> None:
    labels = torch.stack([s.gt_sem_seg.data for s in random_batch(model_of(BISENET))["data_samples"]])
    assert set(labels.unique().tolist()) <= {*range(19), IGNORED}
    assert labels.eq(IGNORED).any() and labels.ne(IGNORED).any()
    # PIDNet weighs classes, and looks up the weight of every pixel.
    weighed = torch.stack([s.gt_sem_seg.data for s in random_batch(model_of(PIDNET))["data_samples"]])
    assert set(weighed.unique().tolist()) <= set(range(19))


def test_a_tracker_gets_videos_of_the_same_objects_and_is_trained_and_evaluated() -> None:
    model = build_model(load_config(QDTRACK))
    batch = random_batch(model, size=(64, 64))
    assert [video.shape for video in batch["inputs"]] == [(2, 3, 64, 64)] * 2
    key, reference = batch["data_samples"][0].video_data_samples
    assert (key.frame_id, reference.frame_id) == (0, 1)
    assert key.gt_instances.instances_ids.equal(reference.gt_instances.instances_ids)
    assert len(key.gt_instances) > 2 and key.gt_instances.bboxes.equal(reference.gt_instances.bboxes)
    train_loss(model, batch, seed=0).backward()
    assert all(p.grad is not None for p in model.track_head.parameters())
    model.eval()
    with torch.no_grad():
        (found,) = model.val_step(random_batch(model, size=(64, 64), evaluation=True))
    assert len(found.video_data_samples) == 2
    assert all("pred_track_instances" in frame for frame in found.video_data_samples)


def test_only_detectors_and_segmentors_get_a_batch() -> None:
    model = nn.Linear(1, 1)
    model.data_preprocessor = nn.Identity()
    with pytest.raises(
        ConfigError, match="Linear is no detector of mmdet, no segmentor of mmseg and no classifier"
    ):
        random_batch(model)


# -- the loss -----------------------------------------------------------------------------------------


def test_a_seeded_loss_repeats_and_leaves_batch_and_generators_alone() -> None:
    model, batch = model_of(BISENET), random_batch(model_of(BISENET))
    inputs = [image.clone() for image in batch["inputs"]]
    state, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()
    losses = {train_loss(model, batch, seed=3).item() for _ in range(2)}
    assert len(losses) == 1
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numbers).all()
    assert all(torch.equal(a, b) for a, b in zip(batch["inputs"], inputs, strict=True))


def test_seeded_puts_the_generators_back_even_after_an_error() -> None:
    state = torch.get_rng_state()
    with pytest.raises(RuntimeError), seeded(1):
        drawn = torch.rand(2)
        raise RuntimeError
    with seeded(1):
        assert torch.equal(torch.rand(2), drawn)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_smallest_size_that_trains_is_found_and_no_statistics_move() -> None:
    model = model_of(MOBILENET_V3)  # pools windows that a small image does not fill
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with pytest.raises(Exception, match=r"."):
        train_loss(model, random_batch(model, size=(64, 64)))
    for name, buffer in model.named_buffers():
        buffer.copy_(before[name])
    size = smallest_size(model, sizes=(64, 256, 512))
    assert size in {(256, 256), (512, 512)}
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


def test_an_image_size_that_never_trains_raises_what_the_model_raised() -> None:
    with pytest.raises(Exception, match=r"[Oo]utput size|kernel size|size"):
        smallest_size(model_of(MOBILENET_V3), sizes=(32, 64))
