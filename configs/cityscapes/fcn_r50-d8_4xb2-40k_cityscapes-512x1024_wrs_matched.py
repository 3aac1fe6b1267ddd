# Weight rescaling to norms that follow what the recipe's weight decay makes of them.
# Written by `wrs-mm config fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py --arm wrs_matched --overlay`.
_base_ = './fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    type='WRSOptimWrapper',
    wrs=dict(target='init_rms', target_schedule='decay_and_growth_by_layer'))
