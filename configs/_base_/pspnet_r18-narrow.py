# A PSPNet for crops of 96 x 96 that trains in minutes on a CPU: ResNet-18 with a quarter of the
# channels, batch normalization on one process, nothing pretrained. Recipes add the data set and the
# schedule.
_base_ = 'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py'
custom_imports = dict(imports=['wrs_mm'], allow_failed_imports=False)

crop_size = (96, 96)
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=crop_size),
    backbone=dict(base_channels=16, stem_channels=16, norm_cfg=norm_cfg),
    decode_head=dict(in_channels=128, channels=48, norm_cfg=norm_cfg),
    # Half of the time on a CPU goes into a loss at full resolution: one head only.
    auxiliary_head=None)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')
]
# No worker processes: images this small are loaded faster than handed over.
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

env_cfg = dict(cudnn_benchmark=False)
randomness = dict(seed=0, deterministic=True)
default_hooks = dict(logger=dict(interval=20))
