# Weight rescaling to norms that follow what the recipe's weight decay makes of them.
# Written by `wrs-mm config fcos_r50_fpn_syncbn_1x_coco.py --arm wrs_matched --overlay`.
_base_ = './fcos_r50_fpn_syncbn_1x_coco.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    type='WRSOptimWrapper',
    wrs=dict(target='init_rms', target_schedule='decay_and_growth_by_layer'))
