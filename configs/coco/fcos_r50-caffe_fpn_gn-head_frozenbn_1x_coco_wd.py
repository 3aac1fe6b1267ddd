# Weight decay on every parameter, as the recipe has it.
_base_ = './fcos_r50-caffe_fpn_gn-head_frozenbn_1x_coco.py'
