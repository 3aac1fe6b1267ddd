# Weight decay on every parameter, as the recipe has it.
_base_ = './mask-rcnn_r50-scratch_fpn_syncbn_6x_coco.py'
