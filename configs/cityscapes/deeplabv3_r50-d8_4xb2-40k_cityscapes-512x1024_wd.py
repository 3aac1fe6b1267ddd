# Weight decay, as the recipe has it.
# Written by `wrs-mm config deeplabv3_r50-d8_4xb2-40k_cityscapes-512x1024.py --arm wd --overlay`.
_base_ = './deeplabv3_r50-d8_4xb2-40k_cityscapes-512x1024.py'
