# mmseg's BiSeNetV2 as it is: real-time, trained from scratch.
_base_ = 'mmseg::bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py'
custom_imports = dict(imports=['wrs_mm'], allow_failed_imports=False)

# What `--auto-scale-lr` scales from: 4 GPUs with 4 images each.
auto_scale_lr = dict(base_batch_size=16)
