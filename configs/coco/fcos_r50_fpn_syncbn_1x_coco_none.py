# No regularizer: scale-invariant weights have no weight decay, all others keep the recipe's.
# Written by `wrs-mm config fcos_r50_fpn_syncbn_1x_coco.py --arm none --overlay`.
_base_ = './fcos_r50_fpn_syncbn_1x_coco.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    paramwise_cfg=dict(scale_invariant_decay_mult=0.0),
    type='ScaleInvariantOptimWrapper')
