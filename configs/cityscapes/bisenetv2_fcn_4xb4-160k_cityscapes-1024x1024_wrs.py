# Weight rescaling of scale-invariant weights; weight decay on all others, as the recipe has it.
_base_ = './bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py'
optim_wrapper = dict(
    type='WRSOptimWrapper',
    constructor='ScaleInvariantOptimWrapperConstructor',
    wrs=dict())
