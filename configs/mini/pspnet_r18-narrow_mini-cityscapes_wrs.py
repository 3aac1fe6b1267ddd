# Weight rescaling of scale-invariant weights; weight decay on all others, as the recipe has it.
_base_ = './pspnet_r18-narrow_mini-cityscapes.py'
optim_wrapper = dict(
    type='WRSOptimWrapper',
    constructor='ScaleInvariantOptimWrapperConstructor',
    wrs=dict())
