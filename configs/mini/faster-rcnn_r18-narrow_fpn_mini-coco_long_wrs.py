# Weight rescaling of scale-invariant weights; weight decay on all others, as the recipe has it.
# Written by `wrs-mm config faster-rcnn_r18-narrow_fpn_mini-coco_long.py --arm wrs --overlay`.
_base_ = './faster-rcnn_r18-narrow_fpn_mini-coco_long.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    type='WRSOptimWrapper',
    wrs=dict())
