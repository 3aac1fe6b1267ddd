# Weight decay, as the recipe has it.
# Written by `wrs-mm config fcn_r50-d8_4xb2-80k_cityscapes-512x1024.py --arm wd --overlay`.
_base_ = './fcn_r50-d8_4xb2-80k_cityscapes-512x1024.py'
