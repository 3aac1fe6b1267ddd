# No regularizer: scale-invariant weights have no weight decay, all others keep the recipe's.
# Written by `wrs-mm config retinanet_r18-narrow_fpn_mini-coco.py --arm none --overlay`.
_base_ = './retinanet_r18-narrow_fpn_mini-coco.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    paramwise_cfg=dict(scale_invariant_decay_mult=0.0),
    type='ScaleInvariantOptimWrapper')
