"""What a backbone is pretrained as: a classifier of images. Importing it registers the parts with mmengine.

A backbone class of mmdet's or mmseg's own under a linear head, a dataset of images by class, the accuracy. So
what is pretrained has the names and layers of what is finetuned, and mmpretrain is not needed.
"""

from __future__ import annotations

from wrs_mm.classification.classifier import BackboneClassifier
from wrs_mm.classification.dataset import ClassFolders
from wrs_mm.classification.top_k_accuracy import TopKAccuracy
from wrs_mm.classification.transforms import PackClassInputs, TorchvisionTransforms

__all__ = [
    "BackboneClassifier",
    "ClassFolders",
    "PackClassInputs",
    "TopKAccuracy",
    "TorchvisionTransforms",
]
