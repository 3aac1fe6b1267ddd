_base_ = '../_base_/pspnet_r18-narrow.py'

data_root = 'data/real-nuclei/'
dataset = dict(
    # CityscapesDataset fixes the 19 classes; this one reads the same layout with others.
    type='BaseSegDataset',
    data_root=data_root,
    img_suffix='_leftImg8bit.png',
    seg_map_suffix='_gtFine_labelTrainIds.png',
    metainfo=dict(
        classes=('background', 'nucleus'), palette=[[0, 0, 0], [80, 160, 255]]))

# Whole tiles are trained on, not crops.
model = dict(data_preprocessor=dict(size=(64, 64)), decode_head=dict(num_classes=2))

# Nuclei have no upright: flip both ways.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackSegInputs')
]
train_dataloader = dict(
    batch_size=16, dataset=dict(pipeline=train_pipeline, **dataset))
# Settings are chosen on val; tables report test.
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(
    dataset=dict(
        data_prefix=dict(img_path='leftImg8bit/test', seg_map_path='gtFine/test'),
        **dataset))

max_iters = 400
train_cfg = dict(max_iters=max_iters, val_interval=max_iters // 2)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=max_iters - 50,
        by_epoch=False,
        begin=50,
        end=max_iters)
]
optimizer = dict(lr=0.1, weight_decay=0.005)
optim_wrapper = dict(optimizer=optimizer)
default_hooks = dict(
    checkpoint=dict(interval=max_iters // 2, max_keep_ckpts=2, save_best='mIoU'))
