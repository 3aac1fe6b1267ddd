# Weight rescaling to norms that follow what the recipe's weight decay makes of them.
# Written by `wrs-mm config mask-rcnn_r50_fpn_frozenbn_1x_coco.py --arm wrs_matched --overlay`.
_base_ = './mask-rcnn_r50_fpn_frozenbn_1x_coco.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    type='WRSOptimWrapper',
    wrs=dict(
        frozen_bn='fold',
        target='init',
        target_schedule='decay_and_growth_by_layer'))
