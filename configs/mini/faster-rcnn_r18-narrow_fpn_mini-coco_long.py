# Faster R-CNN trained until it has stopped learning, where regularization matters: 200 epochs of the
# first 64 training images, at 96 x 96 so that a hundred trainings take hours, not days.
_base_ = './faster-rcnn_r18-narrow_fpn_mini-coco.py'

scale = (96, 96)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline, indices=64))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))

# Samples and proposals follow the area of the image.
model = dict(
    train_cfg=dict(
        rpn=dict(sampler=dict(num=48)),
        rpn_proposal=dict(nms_pre=100, max_per_img=50),
        rcnn=dict(sampler=dict(num=16))))

max_epochs = 200
iterations = max_epochs * 8
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs // 4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=iterations - 50,
        by_epoch=False,
        begin=50,
        end=iterations)
]
default_hooks = dict(checkpoint=dict(interval=max_epochs // 4, max_keep_ckpts=1, save_best=None))
