_base_ = '../_base_/faster-rcnn_r18-narrow_fpn.py'

data_root = 'data/mini-coco/'
metainfo = dict(classes=('disc', 'square', 'triangle', 'ring', 'star', 'cross'))

model = dict(roi_head=dict(bbox_head=dict(num_classes=6)))

train_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo))
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = val_evaluator

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
