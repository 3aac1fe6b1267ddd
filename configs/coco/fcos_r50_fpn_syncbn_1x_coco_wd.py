# Weight decay, as the recipe has it.
# Written by `wrs-mm config fcos_r50_fpn_syncbn_1x_coco.py --arm wd --overlay`.
_base_ = './fcos_r50_fpn_syncbn_1x_coco.py'
