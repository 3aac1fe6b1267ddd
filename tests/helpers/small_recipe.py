"""A recipe that is read and never trained: as small as a config of mmseg can be."""

from __future__ import annotations

from pathlib import Path

RECIPE = """
default_scope = 'mmseg'
base_lr = 0.01
data_root = 'somewhere/tiles'
model = dict(type='EncoderDecoder', backbone=dict(type='ResNet', depth=18, norm_eval=False))
pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 32), keep_ratio=True)]
train_dataloader = dict(
    batch_size=2,
    dataset=dict(type='BaseSegDataset', data_root=data_root, pipeline=pipeline,
                 data_prefix=dict(img_path='images', seg_map_path='labels')))
val_dataloader = dict(
    batch_size=1,
    dataset=dict(type='BaseSegDataset', data_root=data_root, pipeline=pipeline,
                 data_prefix=dict(img_path='images', seg_map_path='labels')))
val_evaluator = dict(type='IoUMetric')
optim_wrapper = dict(
    type='OptimWrapper',
    clip_grad=dict(max_norm=0.01),
    optimizer=dict(type='SGD', lr=base_lr, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(type='PolyLR', eta_min=base_lr * 0.01, power=0.9, begin=50, end=100, by_epoch=False)]
"""


def write_recipe(folder: Path, name: str = "small", text: str = RECIPE) -> Path:
    """Write a recipe beside a plan and return its path."""
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return path
