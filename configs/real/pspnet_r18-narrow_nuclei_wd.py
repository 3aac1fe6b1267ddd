# Weight decay on every parameter, as the recipe has it.
_base_ = './pspnet_r18-narrow_nuclei.py'
