# Weight rescaling of scale-invariant weights; weight decay on all others, as the recipe has it.
# Written by `wrs-mm config pspnet_r18-narrow_mini-cityscapes_long.py --arm wrs --overlay`.
_base_ = './pspnet_r18-narrow_mini-cityscapes_long.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    type='WRSOptimWrapper',
    wrs=dict())
