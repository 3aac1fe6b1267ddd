# Weight decay on every parameter, as the recipe has it.
_base_ = './deeplabv3plus_r50-d8_4xb2-80k_cityscapes-512x1024.py'
