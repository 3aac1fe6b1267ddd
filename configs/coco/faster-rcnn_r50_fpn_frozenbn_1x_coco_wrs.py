# Weight rescaling of the weights before frozen BN, folded, to the norms that they begin with; weight
# decay on all others, as the recipe has it.
_base_ = './faster-rcnn_r50_fpn_frozenbn_1x_coco.py'
optim_wrapper = dict(
    type='WRSOptimWrapper',
    constructor='ScaleInvariantOptimWrapperConstructor',
    wrs=dict(frozen_bn='fold', target='init'))
