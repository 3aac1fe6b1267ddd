# Weight decay on every parameter, as the recipe has it.
_base_ = './faster-rcnn_r50_fpn_syncbn_1x_coco.py'
