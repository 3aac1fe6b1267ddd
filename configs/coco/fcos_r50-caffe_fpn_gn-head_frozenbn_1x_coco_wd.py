# Weight decay, as the recipe has it.
# Written by `wrs-mm config fcos_r50-caffe_fpn_gn-head_frozenbn_1x_coco.py --arm wd --overlay`.
_base_ = './fcos_r50-caffe_fpn_gn-head_frozenbn_1x_coco.py'
