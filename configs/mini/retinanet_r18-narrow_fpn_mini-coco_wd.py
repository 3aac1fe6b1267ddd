# Weight decay, as the recipe has it.
# Written by `wrs-mm config retinanet_r18-narrow_fpn_mini-coco.py --arm wd --overlay`.
_base_ = './retinanet_r18-narrow_fpn_mini-coco.py'
