"""Transforms of images with one label: torchvision's, and what packs them for the model.

mmcv's (LoadImageFromFile, Resize, RandomFlip, …) go with them. Crops that are usual in classification are in
neither mmcv nor mmdet, but in torchvision, whose own training scripts the recipes follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.registry import TRANSFORMS
from mmengine.structures import BaseDataElement
from PIL import Image

from wrs_mm.errors import ConfigError
from wrs_mm.values import one_line

_META = ("img_path", "sample_idx", "ori_shape", "img_shape")
"""What a sample says of its image, where it is known."""


@TRANSFORMS.register_module()
class TorchvisionTransforms:
    """Transforms of torchvision, one after the other, on a PIL image as torchvision's scripts have it.

    They draw from torch's generator, which a protected training keeps.

    Args:
        transforms: Each as ``dict(type='RandomResizedCrop', size=224)``: a class of
            ``torchvision.transforms`` and its arguments. Each makes a PIL image of one.

    Raises:
        ConfigError: There is no such class, or it does not take these arguments.
    """

    def __init__(self, transforms: Sequence[dict[str, Any]]) -> None:
        from torchvision import transforms as available

        self._transforms = []
        for entry in transforms:
            options = dict(entry)
            kind = options.pop("type", None)
            found = getattr(available, str(kind), None)
            if not isinstance(found, type):
                raise ConfigError(f"torchvision.transforms has no class {kind!r}")
            try:
                self._transforms.append(found(**options))
            except (TypeError, ValueError) as error:
                raise ConfigError(f"torchvision.transforms.{kind}: {one_line(error)}") from error

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Transform ``img``, uint8 BGR of shape (H, W, 3)."""
        image = Image.fromarray(np.ascontiguousarray(results["img"][..., ::-1]))
        for transform in self._transforms:
            image = transform(image)
        results["img"] = np.ascontiguousarray(np.asarray(image)[..., ::-1])
        results["img_shape"] = results["img"].shape[:2]
        return results


@TRANSFORMS.register_module()
class PackClassInputs:
    """Packs an image and its label as the model takes them."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Return ``inputs``, uint8 of shape (channels, H, W), and ``data_samples``, with its ``gt_label``."""
        image = torch.from_numpy(np.ascontiguousarray(results["img"].transpose(2, 0, 1)))
        sample = BaseDataElement(metainfo={key: results[key] for key in _META if key in results})
        if "gt_label" in results:
            sample.gt_label = torch.tensor([results["gt_label"]])
        return {"inputs": image, "data_samples": sample}
