# Weight decay, as the recipe has it.
# Written by `wrs-mm config faster-rcnn_r18-narrow_fpn_mini-coco_long.py --arm wd --overlay`.
_base_ = './faster-rcnn_r18-narrow_fpn_mini-coco_long.py'
