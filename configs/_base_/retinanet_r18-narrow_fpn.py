# A RetinaNet for images of 128 x 128 that trains in minutes on a CPU: ResNet-18 with a quarter of the
# channels, anchors and levels cut to the image size, batch normalization in backbone, neck and head,
# nothing frozen, nothing pretrained. Recipes add the data set and the schedule.
_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
custom_imports = dict(imports=['wrs_mm'], allow_failed_imports=False)

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(
        depth=18,
        base_channels=16,
        frozen_stages=-1,
        norm_cfg=norm_cfg,
        norm_eval=False,
        init_cfg=None),
    neck=dict(
        in_channels=[16, 32, 64, 128],
        out_channels=32,
        num_outs=3,
        add_extra_convs=False,
        norm_cfg=norm_cfg),
    bbox_head=dict(
        in_channels=32,
        feat_channels=32,
        stacked_convs=2,
        norm_cfg=norm_cfg,
        anchor_generator=dict(scales_per_octave=1, strides=[8, 16, 32])))

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
]
# No worker processes: images this small are loaded faster than handed over.
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

randomness = dict(seed=0, deterministic=True)
default_hooks = dict(logger=dict(interval=20))
auto_scale_lr = dict(base_batch_size=8)
