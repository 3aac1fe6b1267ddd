# The ResNet-50 with a stem of three convolutions that mmseg's recipes start from, trained as the other one.
_base_ = '../_base_/imagenet.py'

model = dict(
    type='BackboneClassifier',
    data_preprocessor=_base_.data_preprocessor,
    backbone=dict(
        type='mmseg.ResNetV1c',
        depth=50,
        num_stages=4,
        out_indices=(3, ),
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=False,
        style='pytorch'),
    in_channels=2048,
    num_classes=_base_.num_classes)
