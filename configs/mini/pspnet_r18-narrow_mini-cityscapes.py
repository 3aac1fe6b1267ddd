# The quickstart's segmentor, with features at a sixteenth of the image.
_base_ = '../_base_/pspnet_r18-narrow.py'

model = dict(backbone=dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)))

data_root = 'data/mini-cityscapes/'
train_dataloader = dict(dataset=dict(data_root=data_root))
# Settings are chosen on val; tables report test.
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        data_prefix=dict(img_path='leftImg8bit/test', seg_map_path='gtFine/test')))

max_iters = 700
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
