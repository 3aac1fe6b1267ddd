# No regularization of the weights that weight rescaling takes with frozen_bn='fold'; weight decay on all
# others, as the recipe has it.
_base_ = './mask-rcnn_r50_fpn_frozenbn_1x_coco.py'
optim_wrapper = dict(
    type='ScaleInvariantOptimWrapper',
    constructor='ScaleInvariantOptimWrapperConstructor',
    paramwise_cfg=dict(scale_invariant_decay_mult=0.),
    scale_invariance=dict(frozen_bn='fold'))
