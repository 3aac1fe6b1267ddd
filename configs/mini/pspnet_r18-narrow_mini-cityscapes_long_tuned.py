# Each arm at the settings that 16 trials found for it on tune: the study mini_tuning (docs/studies.md).
_base_ = './pspnet_r18-narrow_mini-cityscapes_long.py'

regularizers = dict(
    none=dict(lr=0.301),
    wd=dict(lr=0.129, weight_decay=0.000579),
    wrs=dict(lr=0.2),
    wrs_matched=dict(lr=0.301, weight_decay=0.00186))
