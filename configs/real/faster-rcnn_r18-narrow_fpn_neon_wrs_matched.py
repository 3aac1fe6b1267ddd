# Weight rescaling to norms that follow what the recipe's weight decay makes of them.
# Written by `wrs-mm config faster-rcnn_r18-narrow_fpn_neon.py --arm wrs_matched --overlay`.
_base_ = './faster-rcnn_r18-narrow_fpn_neon.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    type='WRSOptimWrapper',
    wrs=dict(target='init_rms', target_schedule='decay_and_growth_by_layer'))
