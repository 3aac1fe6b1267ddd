# Weight rescaling of scale-invariant weights; weight decay on all others, as the recipe has it.
_base_ = './faster-rcnn_r18-narrow_fpn_neon.py'
optim_wrapper = dict(
    type='WRSOptimWrapper',
    constructor='ScaleInvariantOptimWrapperConstructor',
    wrs=dict())
