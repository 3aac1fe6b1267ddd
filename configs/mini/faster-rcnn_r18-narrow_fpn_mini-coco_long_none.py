# No regularizer: scale-invariant weights have no weight decay, all others keep the recipe's.
# Written by `wrs-mm config faster-rcnn_r18-narrow_fpn_mini-coco_long.py --arm none --overlay`.
_base_ = './faster-rcnn_r18-narrow_fpn_mini-coco_long.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    paramwise_cfg=dict(scale_invariant_decay_mult=0.0),
    type='ScaleInvariantOptimWrapper')
