"""Point-wise spatial attention: ``psamask_forward`` and ``psamask_backward`` of ``mmcv._ext``.

Zhao et al., PSANet, 2018. A place (h, w) predicts an attention for each place around it, as a window of
``h_mask`` × ``w_mask`` values about itself. These functions put each value to the place of the image that
it is about, and drop those that are about places outside; nothing is computed.
"""

from __future__ import annotations

import torch
from torch import Tensor

_COLLECT = 0  # mmcv's `psa_type`; 1 is distribute


def psamask_forward(
    input: Tensor,
    output: Tensor,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Write the windows, laid over the image, to ``output``; 0 where a window does not reach.

    Args:
        input: (num_, h_mask · w_mask, h_feature, w_feature), the window of each place.
        output: (num_, h_feature · w_feature, h_feature, w_feature), written. To collect, the second
            dimension is the place that a value is about, the last two that whose window has it. To
            distribute, the other way round.
        psa_type: 0 collect, 1 distribute.
        num_: Size of the batch.
        h_feature: Height of the image.
        w_feature: Width of the image.
        h_mask: Height of a window.
        w_mask: Width of a window.
        half_h_mask: Row of the window that is about its own place.
        half_w_mask: The same for columns.
    """
    window = input.unflatten(1, (h_mask, w_mask))
    about_y, y = _grid(h_feature, h_feature, input)
    about_x, x = _grid(w_feature, w_feature, input)
    values = _take(window, about_y - y + half_h_mask, about_x - x + half_w_mask)
    places = values.flatten(3).flatten(1, 2)  # (num_, about, whose window)
    if psa_type != _COLLECT:
        places = places.transpose(1, 2)
    output.copy_(places.unflatten(2, (h_feature, w_feature)))


def psamask_backward(
    grad_output: Tensor,
    grad_input: Tensor,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Write the gradient with respect to ``input`` to ``grad_input``; see the forward's arguments."""
    places = grad_output.flatten(2)
    if psa_type != _COLLECT:
        places = places.transpose(1, 2)
    # (num_, about y, about x, y, x)
    grad = places.unflatten(2, (h_feature, w_feature)).unflatten(1, (h_feature, w_feature))
    window_y, y = _grid(h_mask, h_feature, grad_output)
    window_x, x = _grid(w_mask, w_feature, grad_output)
    windows = _take(grad, window_y + y - half_h_mask, window_x + x - half_w_mask)
    grad_input.copy_(windows.flatten(1, 2))


def _grid(rows: int, columns: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers of rows, (rows, 1), and of columns, (columns,)."""
    return torch.arange(rows, device=like.device)[:, None], torch.arange(columns, device=like.device)


def _take(values: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """``values[:, row[i, y], column[j, x], y, x]`` for each (i, j, y, x), 0 where that does not exist.

    Args:
        values: (N, R, C, H, W).
        row: (I, H) int64, any number.
        column: (J, W) int64, any number.

    Returns:
        (N, I, J, H, W).
    """
    _, rows, columns, height, width = values.shape
    inside = ((row >= 0) & (row < rows))[:, None, :, None] & ((column >= 0) & (column < columns))[:, None]
    y = torch.arange(height, device=row.device)[:, None]
    x = torch.arange(width, device=row.device)
    safe_row, safe_column = row.clamp(0, rows - 1), column.clamp(0, columns - 1)
    taken = values[:, safe_row[:, None, :, None], safe_column[:, None], y, x]
    return taken.masked_fill(~inside, 0)
