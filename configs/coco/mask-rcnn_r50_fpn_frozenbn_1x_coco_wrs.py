# Weight rescaling of scale-invariant weights; weight decay on all others, as the recipe has it.
# Written by `wrs-mm config mask-rcnn_r50_fpn_frozenbn_1x_coco.py --arm wrs --overlay`.
_base_ = './mask-rcnn_r50_fpn_frozenbn_1x_coco.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    type='WRSOptimWrapper',
    wrs=dict(frozen_bn='fold', target='init'))
