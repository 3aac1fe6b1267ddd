# No regularizer: scale-invariant weights have no weight decay, all others keep the recipe's.
# Written by `wrs-mm config deeplabv3_r50-d8_4xb2-80k_cityscapes-512x1024.py --arm none --overlay`.
_base_ = './deeplabv3_r50-d8_4xb2-80k_cityscapes-512x1024.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    paramwise_cfg=dict(scale_invariant_decay_mult=0.0),
    type='ScaleInvariantOptimWrapper')
