# Weight decay, as the recipe has it.
# Written by `wrs-mm config bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py --arm wd --overlay`.
_base_ = './bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py'
