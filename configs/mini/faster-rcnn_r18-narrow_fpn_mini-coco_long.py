# Faster R-CNN trained until it hardly gets better on other images: 200 epochs of the
# first 64 training images. A hundred such trainings take hours, not days.
_base_ = './faster-rcnn_r18-narrow_fpn_mini-coco.py'

train_dataloader = dict(dataset=dict(indices=64))

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
