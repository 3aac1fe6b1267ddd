# mini-shapes, and the schedule of a pretraining of ten minutes on one core.
_base_ = './classification.py'

data_root = 'data/mini-shapes/'
num_classes = 20
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='TorchvisionTransforms',
        transforms=[dict(type='RandomCrop', size=64, padding=6)]),
    dict(type='PackClassInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='PackClassInputs')
]
# No worker processes: images this small are loaded faster than handed over.
train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ClassFolders',
        data_root=data_root,
        data_prefix=dict(img_path='train'),
        num_classes=num_classes,
        pipeline=train_pipeline))
# Settings are chosen on val; tables report test.
val_dataloader = dict(
    batch_size=100,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ClassFolders',
        data_root=data_root,
        data_prefix=dict(img_path='val'),
        num_classes=num_classes,
        pipeline=test_pipeline))
test_dataloader = dict(
    batch_size=100,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ClassFolders',
        data_root=data_root,
        data_prefix=dict(img_path='test'),
        num_classes=num_classes,
        pipeline=test_pipeline))

max_epochs = 10
iterations = max_epochs * 313
train_cfg = dict(by_epoch=True, max_epochs=max_epochs, val_interval=max_epochs // 5)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=100),
    dict(
        type='CosineAnnealingLR',
        T_max=iterations - 100,
        by_epoch=False,
        begin=100,
        end=iterations)
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.0005))
default_hooks = dict(checkpoint=dict(interval=max_epochs // 5))
randomness = dict(seed=0, deterministic=True)
auto_scale_lr = dict(base_batch_size=64)
