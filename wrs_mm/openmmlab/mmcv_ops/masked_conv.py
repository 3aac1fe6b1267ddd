"""Convolution at chosen places: ``masked_im2col_forward`` and ``masked_col2im_forward`` of ``mmcv._ext``.

Guided anchoring (Wang et al., 2019) uses it where it does not train: what a mask leaves out is not computed.
mmcv multiplies the columns by the weight between the two calls. Compiled mmcv has both for CUDA only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_im2col_forward(
    im: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    col: Tensor,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Write what a convolution (stride 1) sees at each chosen place to ``col``.

    Args:
        im: (1, C, H, W).
        mask_h_idx: (N,) int64, the row of each place in the convolution's output.
        mask_w_idx: (N,) int64, the same for columns.
        col: (C · kernel_h · kernel_w, N), written; around the image there are zeros.
        kernel_h: Height of the kernel.
        kernel_w: Width of the kernel.
        pad_h: Zeros above and below.
        pad_w: Zeros left and right.
    """
    # A place may be chosen whose kernel ends beyond the padding: mmcv's mask has the size of the image.
    beyond_h, beyond_w = max(pad_h, kernel_h - 1 - pad_h), max(pad_w, kernel_w - 1 - pad_w)
    padded = F.pad(im[0], (pad_w, beyond_w, pad_h, beyond_h))
    row = mask_h_idx + torch.arange(kernel_h, device=im.device)[:, None, None]
    column = mask_w_idx + torch.arange(kernel_w, device=im.device)[:, None]
    col.copy_(padded[:, row, column].flatten(0, 2))


def masked_col2im_forward(
    col: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    im: Tensor,
    height: int,
    width: int,
    channels: int,
) -> None:
    """Put a value for each chosen place into ``im``; the other places stay as they are.

    Args:
        col: (channels, N).
        mask_h_idx: (N,) int64, the row of each place.
        mask_w_idx: (N,) int64, the same for columns.
        im: (1, channels, height, width), written.
        height: ``im`` says the same.
        width: ``im`` says the same.
        channels: ``im`` says the same.

    Raises:
        IndexError: A place outside ``im``; compiled mmcv writes somewhere else then.
    """
    im[0][:, mask_h_idx, mask_w_idx] = col.to(im.dtype)
