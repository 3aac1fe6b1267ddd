# The backbone of the detectors in configs/mini and configs/real, pretrained on mini-shapes.
_base_ = '../_base_/mini-shapes.py'

model = dict(
    type='BackboneClassifier',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(
        type='mmdet.ResNet',
        depth=18,
        base_channels=16,
        num_stages=4,
        out_indices=(3, ),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch'),
    in_channels=128,
    num_classes=_base_.num_classes)
