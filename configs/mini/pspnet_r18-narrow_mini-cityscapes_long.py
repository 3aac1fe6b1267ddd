# PSPNet trained until it hardly gets better on other images: the first 30 scenes for
# 1600 iterations. A hundred such trainings take hours, not days.
_base_ = './pspnet_r18-narrow_mini-cityscapes.py'

train_dataloader = dict(dataset=dict(indices=30))

max_iters = 1600
train_cfg = dict(max_iters=max_iters, val_interval=max_iters // 4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        T_max=max_iters - 50,
        by_epoch=False,
        begin=50,
        end=max_iters)
]
default_hooks = dict(checkpoint=dict(interval=max_iters // 4, max_keep_ckpts=1, save_best=None))
