# mmdet's FCOS with batch normalization that trains: SyncBN (torch's) in backbone, neck and head, nothing
# frozen. The pytorch-style backbone, with its image normalization and torchvision's weights, as in the
# other syncbn recipes; mmdet's 1x recipe has the caffe-style one.
_base_ = 'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py'
custom_imports = dict(imports=['wrs_mm'], allow_failed_imports=False)

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        frozen_stages=-1,
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(checkpoint='torchvision://resnet50')),
    neck=dict(norm_cfg=norm_cfg),
    bbox_head=dict(norm_cfg=norm_cfg))
