# Weight rescaling of scale-invariant weights; weight decay on all others, as the recipe has it.
# Written by `wrs-mm config fcn_r18-narrow_mini-cityscapes.py --arm wrs --overlay`.
_base_ = './fcn_r18-narrow_mini-cityscapes.py'
optim_wrapper = dict(
    constructor='ScaleInvariantOptimWrapperConstructor',
    type='WRSOptimWrapper',
    wrs=dict())
