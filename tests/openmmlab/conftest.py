"""Two tiny trainings that exercise everything around a model: a detector's and a segmentor's."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

DETECTOR = """
_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
data_root = '{root}/'
norm = dict(type='{norm}', requires_grad=True)
model = dict(
    backbone=dict(base_channels=8, frozen_stages=-1, norm_eval=False, norm_cfg=norm, init_cfg=None),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    bbox_head=dict(num_classes=2, in_channels=16, feat_channels=16, stacked_convs=1),
    test_cfg=dict(score_thr=0.))
pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(32, 32)), dict(type='PackDetInputs', meta_keys=(
        'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction'))]
dataset = dict(
    _delete_=True, type='CocoDataset', data_root=data_root, ann_file='train.json',
    data_prefix=dict(img='images/'), metainfo=dict(classes=('a', 'b')), pipeline=pipeline)
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=dataset)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(
    **dataset, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'train.json')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=2, val_interval=2)
param_scheduler = []
optim_wrapper = dict(optimizer=dict(lr=0.001))
default_hooks = dict(logger=dict(interval=1))
"""

SEGMENTOR = """
_base_ = [
    'mmseg::_base_/models/fcn_r50-d8.py', 'mmseg::_base_/default_runtime.py']
data_root = '{root}/'
norm = dict(type='{norm}', requires_grad=True)
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(32, 32)),
    backbone=dict(type='ResNetV1c', depth=18, stem_channels=8, base_channels=8, norm_cfg=norm),
    decode_head=dict(
        in_channels=64, in_index=3, channels=8, num_convs=1, num_classes=19, norm_cfg=norm),
    auxiliary_head=dict(in_channels=32, channels=8, num_classes=19, norm_cfg=norm))
pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='CityscapesDataset', data_root=data_root, pipeline=pipeline, img_suffix='.png',
        seg_map_suffix='.png', data_prefix=dict(img_path='images', seg_map_path='labels')))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=train_dataloader['dataset'])
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
default_hooks = dict(
    timer=dict(type='IterTimerHook'), logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2),
    visualization=dict(type='SegVisualizationHook'))
"""

CONFIGS = {"detector": DETECTOR, "segmentor": SEGMENTOR}


def _write_data(root: Path) -> None:
    generator = np.random.default_rng(0)
    images, annotations = [], []
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for index in range(1, 5):
        image = generator.integers(0, 80, (32, 32, 3), dtype=np.uint8)
        x, y = (int(number) for number in generator.integers(0, 16, 2))
        image[y : y + 16, x : x + 16] += 150
        label = np.full((32, 32), 3, np.uint8)
        label[y : y + 16, x : x + 16] = index
        cv2.imwrite(str(root / "images" / f"{index}.png"), image)
        cv2.imwrite(str(root / "labels" / f"{index}.png"), label)
        images.append({"id": index, "file_name": f"{index}.png", "width": 32, "height": 32})
        box = {"bbox": [x, y, 16, 16], "area": 256, "iscrowd": 0}
        annotations.append({"id": index, "image_id": index, "category_id": index % 2 + 1, **box})
    categories = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "train.json").write_text(json.dumps(content))


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    _write_data(root)
    return root


@pytest.fixture
def write_config(tmp_path, tiny_data):
    """Write the config of a tiny ``kind`` of training, with ``extra`` lines, and return its path."""

    def write(kind: str, extra: str = "", *, root: Path = tiny_data, norm: str = "BN") -> Path:
        path = tmp_path / f"{kind}.py"
        path.write_text(CONFIGS[kind].format(root=root, norm=norm) + extra)
        return path

    return write
