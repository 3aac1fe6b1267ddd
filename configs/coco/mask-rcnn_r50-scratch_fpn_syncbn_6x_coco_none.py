# No regularization of scale-invariant weights; weight decay on all others, as the recipe has it.
_base_ = './mask-rcnn_r50-scratch_fpn_syncbn_6x_coco.py'
optim_wrapper = dict(
    type='ScaleInvariantOptimWrapper',
    constructor='ScaleInvariantOptimWrapperConstructor',
    paramwise_cfg=dict(scale_invariant_decay_mult=0.))
