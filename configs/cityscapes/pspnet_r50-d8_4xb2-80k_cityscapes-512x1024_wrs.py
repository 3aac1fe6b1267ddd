# Weight rescaling of scale-invariant weights; weight decay on all others, as the recipe has it.
# Written by `wrs-mm config pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py --arm wrs --overlay`.
_base_ = './pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    type='WRSOptimWrapper',
    wrs=dict())
