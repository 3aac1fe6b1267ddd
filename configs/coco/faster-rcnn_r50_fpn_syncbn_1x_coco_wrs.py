# Weight rescaling of scale-invariant weights; weight decay on all others, as the recipe has it.
_base_ = './faster-rcnn_r50_fpn_syncbn_1x_coco.py'
optim_wrapper = dict(
    type='WRSOptimWrapper',
    constructor='ScaleInvariantOptimWrapperConstructor',
    wrs=dict())
