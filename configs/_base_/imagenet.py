# ImageNet, and the schedule by which mmpretrain trains its ResNets on 8 GPUs with 32 images each
# (configs/_base_/datasets/imagenet_bs32.py and schedules/imagenet_bs256.py of mmpretrain 1.2): SGD with
# learning rate 0.1, momentum 0.9 and weight decay 0.0001 on every parameter, a tenth of the learning rate
# after epochs 30, 60 and 90 of 100. torchvision's first weights (references/classification/train.py, its
# defaults) come from the same with 90 epochs. Crops are torchvision's own transforms: train a crop of 8 to 100 %
# of the image's area at 224 x 224, mirrored half of the time; val the middle 224 x 224 of the image at 256.
_base_ = './classification.py'

data_root = 'data/imagenet/'
num_classes = 1000
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TorchvisionTransforms',
        transforms=[
            dict(type='RandomResizedCrop', size=224),
            dict(type='RandomHorizontalFlip', p=0.5)
        ]),
    dict(type='PackClassInputs')
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TorchvisionTransforms',
        transforms=[
            dict(type='Resize', size=256),
            dict(type='CenterCrop', size=224)
        ]),
    dict(type='PackClassInputs')
]
train_dataloader = dict(
    batch_size=32,
    num_workers=5,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ClassFolders',
        data_root=data_root,
        data_prefix=dict(img_path='train'),
        pipeline=train_pipeline))
# The test split has no public labels.
val_dataloader = dict(
    batch_size=32,
    num_workers=5,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ClassFolders',
        data_root=data_root,
        data_prefix=dict(img_path='val'),
        pipeline=test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
param_scheduler = [
    dict(type='MultiStepLR', by_epoch=True, milestones=[30, 60, 90], gamma=0.1)
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.0001))
auto_scale_lr = dict(base_batch_size=256)
