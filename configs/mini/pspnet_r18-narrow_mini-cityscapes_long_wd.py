# Weight decay, as the recipe has it.
# Written by `wrs-mm config pspnet_r18-narrow_mini-cityscapes_long.py --arm wd --overlay`.
_base_ = './pspnet_r18-narrow_mini-cityscapes_long.py'
