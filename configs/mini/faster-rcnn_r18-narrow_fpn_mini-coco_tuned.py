# Each arm at the settings that 8 trials found for it on tune: the study mini_arms (docs/studies.md).
_base_ = './faster-rcnn_r18-narrow_fpn_mini-coco.py'

regularizers = dict(
    none=dict(lr=0.0661),
    wd=dict(lr=0.0489, weight_decay=0.000187),
    wrs=dict(lr=0.0489),
    wrs_matched=dict(lr=0.0489, weight_decay=0.000187))
