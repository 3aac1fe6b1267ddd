# No regularizer: scale-invariant weights have no weight decay, all others keep the recipe's.
# Written by `wrs-mm config bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py --arm none --overlay`.
_base_ = './bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    paramwise_cfg=dict(scale_invariant_decay_mult=0.0),
    type='ScaleInvariantOptimWrapper')
