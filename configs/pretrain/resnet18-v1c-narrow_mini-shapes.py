# The backbone of the segmentors in configs/mini and configs/real, mmseg's with a stem of three convolutions,
# pretrained on mini-shapes.
_base_ = '../_base_/mini-shapes.py'

model = dict(
    type='BackboneClassifier',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(
        type='mmseg.ResNetV1c',
        depth=18,
        base_channels=16,
        stem_channels=16,
        num_stages=4,
        out_indices=(3, ),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch'),
    in_channels=128,
    num_classes=_base_.num_classes)
