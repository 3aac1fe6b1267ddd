# Each arm at the settings that 16 trials found for it on tune: the study mini_tuning (docs/studies.md).
_base_ = './faster-rcnn_r18-narrow_fpn_mini-coco_long.py'

regularizers = dict(
    none=dict(lr=0.129),
    wd=dict(lr=0.0212, weight_decay=0.0214),
    wrs=dict(lr=0.0796),
    wrs_matched=dict(lr=0.0212, weight_decay=0.0214))
