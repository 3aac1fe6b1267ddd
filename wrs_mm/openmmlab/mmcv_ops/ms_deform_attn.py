"""Multi-scale deformable attention: ``ms_deform_attn_forward`` and ``_backward`` of ``mmcv._ext``.

Zhu et al., Deformable DETR, 2021. mmcv calls these for CUDA tensors; elsewhere it has a version in PyTorch,
which keeps the samples of all levels at once. Here memory holds those of one level only, and the backward
samples again; it does without that of ``grid_sample``, which PyTorch's deterministic algorithms lack on GPUs.
Half precision is computed in float32.

``im2col_step`` is mmcv's chunk of the batch. It does not change the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class _Level(NamedTuple):
    """What is sampled on one level of the features.

    Attributes:
        number: Which level it is.
        keys: Its places among all keys.
        features: (batch · heads, channels, H, W).
        location: (batch · heads, queries, points, 2), ``x, y`` from 0 to 1.
        weight: (batch · heads, 1, queries, points).
    """

    number: int
    keys: slice
    features: Tensor
    location: Tensor
    weight: Tensor

    def sample(self) -> Tensor:
        """The features at each point, (batch · heads, channels, queries, points); 0 around the level."""
        grid = 2 * self.location - 1
        return F.grid_sample(self.features, grid, "bilinear", "zeros", align_corners=False)

    def gradients(self, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The gradients of features, places and weights; like mmcv's kernel's.

        A whole cell outside of the outermost ones, where offsets of whole cells lead, which training begins
        with, interpolation has a kink; there is no gradient there.

        Args:
            grad: (batch · heads, queries, channels), of the weighted sum.
        """
        height, width = self.features.shape[2:]
        cells = self.features.flatten(2).transpose(1, 2).flatten(0, 1)
        by_cells, by_location = torch.zeros_like(cells), torch.zeros_like(self.location)
        weight, by_weight = self.weight[:, 0], torch.zeros_like(self.weight[:, 0])
        size = self.location.new_tensor([width, height])
        place = self.location * size - 0.5
        inside = ((place > -1) & (place < size)).all(dim=-1)
        low = torch.where(inside[..., None], place, torch.zeros_like(place)).floor()
        after = torch.where(inside[..., None], place - low, torch.zeros_like(place))
        first = torch.arange(len(self.features), device=cells.device)[:, None, None] * (height * width)
        for step_x, step_y in ((0, 0), (1, 0), (0, 1), (1, 1)):
            x, y = low[..., 0].long() + step_x, low[..., 1].long() + step_y
            exists = inside & (x >= 0) & (x < width) & (y >= 0) & (y < height)
            index = (first + y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).flatten()
            share_x = after[..., 0] if step_x else 1 - after[..., 0]
            share_y = after[..., 1] if step_y else 1 - after[..., 1]
            values = cells.index_select(0, index).unflatten(0, x.shape)
            by_share = (values * grad[:, :, None]).sum(dim=-1).masked_fill(~exists, 0)
            by_weight += share_x * share_y * by_share
            by_location[..., 0] += (2 * step_x - 1) * share_y * by_share
            by_location[..., 1] += (2 * step_y - 1) * share_x * by_share
            share = (weight * share_x * share_y).masked_fill(~exists, 0)
            by_cells.index_add_(0, index, (share[..., None] * grad[:, :, None]).flatten(0, 2))
        by_location *= weight[..., None] * size
        return by_cells.view(len(self.features), height * width, -1), by_location, by_weight


def _levels(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_loc: Tensor,
    attn_weight: Tensor,
) -> Iterator[_Level]:
    """The levels that have a cell."""
    dtype = torch.promote_types(value.dtype, torch.float32)
    geometry = zip(spatial_shapes.tolist(), level_start_index.tolist(), strict=True)
    for number, ((height, width), start) in enumerate(geometry):
        keys = slice(start, start + height * width)
        features = value[:, keys].permute(0, 2, 3, 1).flatten(0, 1).unflatten(2, (height, width))
        location = sampling_loc[:, :, :, number].transpose(1, 2).flatten(0, 1)
        weight = attn_weight[:, :, :, number].transpose(1, 2).flatten(0, 1)
        if features.numel() and location.numel():
            yield _Level(number, keys, features.to(dtype), location.to(dtype), weight[:, None].to(dtype))


def ms_deform_attn_forward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_loc: Tensor,
    attn_weight: Tensor,
    im2col_step: int,
) -> Tensor:
    """Sum the features at the sampled points of all levels, each with its weight.

    Args:
        value: (batch, keys, heads, channels), the levels one after the other, each row by row.
        spatial_shapes: (levels, 2) int64, height and width.
        level_start_index: (levels,) int64, the first key of each level.
        sampling_loc: (batch, queries, heads, levels, points, 2), ``x, y`` from 0 to 1 across a level.
        attn_weight: (batch, queries, heads, levels, points).
        im2col_step: Not used.

    Returns:
        (batch, queries, heads · channels), of ``value``'s type.
    """
    batch, _, heads, channels = value.shape
    queries = sampling_loc.size(1)
    dtype = torch.promote_types(value.dtype, torch.float32)
    output = value.new_zeros(batch * heads, channels, queries, dtype=dtype)
    for level in _levels(value, spatial_shapes, level_start_index, sampling_loc, attn_weight):
        output += (level.sample() * level.weight).sum(dim=-1)
    output = output.view(batch, heads * channels, queries).transpose(1, 2)
    return output.to(value.dtype).contiguous()


def ms_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_loc: Tensor,
    attn_weight: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Write the three gradients; the forward has the other arguments.

    Args:
        value: As in the forward.
        spatial_shapes: As in the forward.
        level_start_index: As in the forward.
        sampling_loc: As in the forward.
        attn_weight: As in the forward.
        grad_output: (batch, queries, heads · channels).
        grad_value: Like ``value``, zeros; written.
        grad_sampling_loc: Like ``sampling_loc``, zeros; written.
        grad_attn_weight: Like ``attn_weight``, zeros; written.
        im2col_step: Not used.
    """
    heads = (value.size(0), value.size(2))
    grad = grad_output.unflatten(2, (value.size(2), value.size(3))).transpose(1, 2).flatten(0, 1)
    grad = grad.to(torch.promote_types(value.dtype, torch.float32))
    for level in _levels(value, spatial_shapes, level_start_index, sampling_loc, attn_weight):
        by_features, by_location, by_weight = (g.unflatten(0, heads) for g in level.gradients(grad))
        grad_value[:, level.keys] += by_features.transpose(1, 2)
        grad_sampling_loc[:, :, :, level.number] = by_location.transpose(1, 2)
        grad_attn_weight[:, :, :, level.number] = by_weight.transpose(1, 2)
