# mmdet's Mask R-CNN from scratch, with SyncBN (torch's) where it has group normalization: in backbone,
# neck, box head (4conv1fc) and mask head.
_base_ = 'mmdet::scratch/mask-rcnn_r50-scratch_fpn_gn-all_6x_coco.py'
custom_imports = dict(imports=['wrs_mm'], allow_failed_imports=False)

norm_cfg = dict(_delete_=True, type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(norm_cfg=norm_cfg, norm_eval=False),
    neck=dict(norm_cfg=norm_cfg),
    roi_head=dict(
        bbox_head=dict(norm_cfg=norm_cfg), mask_head=dict(norm_cfg=norm_cfg)))
