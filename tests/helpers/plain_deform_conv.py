"""Deformable convolution in plain PyTorch: the bilinear rule of mmcv's kernels, gradients by autograd."""

from __future__ import annotations

import torch


def plain_deform_conv(x, offset, mask, weight, bias, stride, pad, dilation, groups, deform_groups):
    """What mmcv's ``modulated_deform_conv`` computes; a mask of None is one of ones.

    A sample counts where -1 < y < H and -1 < x < W, by its four cells as far as they are in the image. The
    slope is that between the cells on either side of floor(y); at a sample that does not count there is none.
    """
    batch, _, height, width = x.shape
    out_channels, _, cells_h, cells_w = weight.shape
    steps_h, steps_w = offset.shape[2:]
    cells = cells_h * cells_w
    # (cells, steps) along each axis, then (cells_h, cells_w, steps_h, steps_w)
    row = torch.arange(steps_h) * stride[0] - pad[0] + torch.arange(cells_h)[:, None] * dilation[0]
    column = torch.arange(steps_w) * stride[1] - pad[1] + torch.arange(cells_w)[:, None] * dilation[1]
    start = torch.broadcast_tensors(row[:, None, :, None], column[None, :, None, :])
    moved = offset.view(batch, deform_groups, cells, 2, steps_h, steps_w)
    y = moved[:, :, :, 0] + start[0].reshape(cells, steps_h, steps_w)
    sample_x = moved[:, :, :, 1] + start[1].reshape(cells, steps_h, steps_w)
    counts = (y > -1) & (y < height) & (sample_x > -1) & (sample_x < width)
    planes = x.view(batch, deform_groups, -1, height * width)
    samples = torch.zeros(batch, deform_groups, planes.size(2), *y.shape[2:], dtype=x.dtype)
    low_y, low_x = y.detach().floor(), sample_x.detach().floor()
    for step_y in (0, 1):
        for step_x in (0, 1):
            at_y, at_x = low_y + step_y, low_x + step_x
            share_y = y - low_y if step_y else 1 - (y - low_y)
            share_x = sample_x - low_x if step_x else 1 - (sample_x - low_x)
            there = counts & (at_y >= 0) & (at_y < height) & (at_x >= 0) & (at_x < width)
            index = (at_y * width + at_x).where(there, torch.zeros_like(at_y)).long()
            index = index[:, :, None].expand(-1, -1, planes.size(2), -1, -1, -1).flatten(3)
            value = planes.gather(3, index).view_as(samples)
            share = (share_y * share_x).where(there, torch.zeros_like(share_y))
            samples = samples + value * share[:, :, None]
    if mask is not None:
        samples = samples * mask.view(batch, deform_groups, 1, cells, steps_h, steps_w)
    columns = samples.view(batch, groups, -1, steps_h * steps_w)
    filters = weight.view(groups, out_channels // groups, -1)
    out = torch.einsum("goc,bgcn->bgon", filters, columns).reshape(batch, out_channels, steps_h, steps_w)
    return out if bias is None else out + bias[:, None, None]
