# mmseg's FCN as it is, its pretrained weights named where mmdet's recipes name theirs.
_base_ = 'mmseg::fcn/fcn_r50-d8_4xb2-80k_cityscapes-512x1024.py'
custom_imports = dict(imports=['wrs_mm'], allow_failed_imports=False)

model = dict(
    pretrained=None,
    backbone=dict(
        init_cfg=dict(
            type='Pretrained', checkpoint='open-mmlab://resnet50_v1c')))

# What `--auto-scale-lr` scales from: 4 GPUs with 2 images each.
auto_scale_lr = dict(base_batch_size=8)
