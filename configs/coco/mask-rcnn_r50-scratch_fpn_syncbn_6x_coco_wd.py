# Weight decay, as the recipe has it.
# Written by `wrs-mm config mask-rcnn_r50-scratch_fpn_syncbn_6x_coco.py --arm wd --overlay`.
_base_ = './mask-rcnn_r50-scratch_fpn_syncbn_6x_coco.py'
