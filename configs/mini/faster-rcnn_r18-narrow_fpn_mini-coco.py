# The quickstart's detector. At 96 x 96, samples and proposals follow the area of the image.
_base_ = '../_base_/faster-rcnn_r18-narrow_fpn.py'

data_root = 'data/mini-coco/'
metainfo = dict(classes=('disc', 'square', 'triangle', 'ring', 'star', 'cross'))

model = dict(
    roi_head=dict(bbox_head=dict(num_classes=6)),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=48)),
        rpn_proposal=dict(nms_pre=100, max_per_img=50),
        rcnn=dict(sampler=dict(num=16))))

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
train_dataloader = dict(
    dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=train_pipeline))
# Settings are chosen on val2017; tables report test2017.
val_dataloader = dict(
    dataset=dict(data_root=data_root, metainfo=metainfo, pipeline=test_pipeline))
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/instances_test2017.json',
        data_prefix=dict(img='test2017/'),
        pipeline=test_pipeline))
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = dict(ann_file=data_root + 'annotations/instances_test2017.json')

max_epochs = 8
iterations = max_epochs * 75
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs // 2)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=iterations - 50,
        by_epoch=False,
        begin=50,
        end=iterations)
]
optim_wrapper = dict(
    optimizer=dict(lr=0.1, weight_decay=0.005),
    clip_grad=dict(max_norm=10, norm_type=2))
default_hooks = dict(
    checkpoint=dict(interval=max_epochs // 2, max_keep_ckpts=2, save_best='coco/bbox_mAP'))
