"""The precision that torchvision's operators are given: they know float16, but not bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor


def known_to_torchvision(tensor: Tensor) -> Tensor:
    """Return the tensor in its own precision, or in float32 if that is bfloat16."""
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor
