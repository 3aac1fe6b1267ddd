# Weight rescaling of scale-invariant weights; weight decay on all others, as the recipe has it.
# Written by `wrs-mm config bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py --arm wrs --overlay`.
_base_ = './bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    type='WRSOptimWrapper',
    wrs=dict())
