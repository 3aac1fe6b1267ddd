# Weight rescaling to norms that follow what the recipe's weight decay makes of them.
# Written by `wrs-mm config bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py --arm wrs_matched --overlay`.
_base_ = './bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    type='WRSOptimWrapper',
    wrs=dict(target='init_rms', target_schedule='decay_and_growth_by_layer'))
