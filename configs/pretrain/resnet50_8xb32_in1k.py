# The ResNet-50 that mmdet's recipes start from, as torchvision and mmpretrain train it.
_base_ = '../_base_/imagenet.py'

model = dict(
    type='BackboneClassifier',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(
        type='mmdet.ResNet',
        depth=50,
        num_stages=4,
        out_indices=(3, ),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch'),
    in_channels=2048,
    num_classes=_base_.num_classes)
