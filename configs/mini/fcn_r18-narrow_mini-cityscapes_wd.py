# Weight decay, as the recipe has it.
# Written by `wrs-mm config fcn_r18-narrow_mini-cityscapes.py --arm wd --overlay`.
_base_ = './fcn_r18-narrow_mini-cityscapes.py'
