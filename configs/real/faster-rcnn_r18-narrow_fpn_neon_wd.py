# Weight decay on every parameter, as the recipe has it.
_base_ = './faster-rcnn_r18-narrow_fpn_neon.py'
