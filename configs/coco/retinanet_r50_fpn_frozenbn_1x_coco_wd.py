# Weight decay on every parameter, as the recipe has it.
_base_ = './retinanet_r50_fpn_frozenbn_1x_coco.py'
