# mmdet's default recipe as it is: the batch normalization of the backbone is frozen.
_base_ = ['mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py', '../_base_/frozen_bn_arms.py']
custom_imports = dict(imports=['wrs_mm'], allow_failed_imports=False)
