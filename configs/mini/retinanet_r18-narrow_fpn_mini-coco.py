# A recipe that nobody tuned: optimizer, learning rate, weight decay and schedule are mmdet's 1x, its
# warm-up shortened with the epochs.
_base_ = '../_base_/retinanet_r18-narrow_fpn.py'

data_root = 'data/mini-coco/'
metainfo = dict(classes=('disc', 'square', 'triangle', 'ring', 'star', 'cross'))

model = dict(bbox_head=dict(num_classes=6))

train_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo))
# Settings are chosen on val2017; tables report test2017.
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo))
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/instances_test2017.json',
        data_prefix=dict(img='test2017/')))
val_evaluator = dict(ann_file=data_root + 'annotations/instances_val2017.json')
test_evaluator = dict(ann_file=data_root + 'annotations/instances_test2017.json')

max_epochs = 12
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs // 2)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=50),
    dict(
        type='MultiStepLR',
        begin=0,
        end=max_epochs,
        by_epoch=True,
        milestones=[8, 11],
        gamma=0.1)
]
default_hooks = dict(checkpoint=dict(interval=max_epochs // 2, max_keep_ckpts=2, save_best='coco/bbox_mAP'))
