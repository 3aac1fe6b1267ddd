# Weight rescaling of scale-invariant weights; weight decay on all others, as the recipe has it.
# Written by `wrs-mm config retinanet_r18-narrow_fpn_mini-coco.py --arm wrs --overlay`.
_base_ = './retinanet_r18-narrow_fpn_mini-coco.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    type='WRSOptimWrapper',
    wrs=dict())
