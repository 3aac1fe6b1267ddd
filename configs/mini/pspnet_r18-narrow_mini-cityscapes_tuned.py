# Each arm at the settings that 8 trials found for it on tune: the study mini_arms (docs/studies.md).
_base_ = './pspnet_r18-narrow_mini-cityscapes.py'

regularizers = dict(
    none=dict(lr=0.301),
    wd=dict(lr=0.129, weight_decay=0.0021),
    wrs=dict(lr=0.129),
    wrs_matched=dict(lr=0.129, weight_decay=0.0021))
