# Weight decay on every parameter, as the recipe has it.
_base_ = './bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py'
