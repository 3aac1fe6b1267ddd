"""The precision that torchvision's operators are given.

They know float16, but not bfloat16; and on a CPU they add up gradients in float16 (a tenth of a deformable
convolution's is lost), which is no faster there than float32.
"""

from __future__ import annotations

import torch
from torch import Tensor


def known_to_torchvision(tensor: Tensor) -> Tensor:
    """Return the tensor in its own precision, or in float32 if that is bfloat16 or, on a CPU, float16."""
    half = tensor.dtype == torch.float16 and tensor.device.type == "cpu"
    return tensor.float() if half or tensor.dtype == torch.bfloat16 else tensor
