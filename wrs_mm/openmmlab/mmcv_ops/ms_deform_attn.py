"""Multi-scale deformable attention: ``ms_deform_attn_forward`` and ``_backward`` of ``mmcv._ext``.

Zhu et al., Deformable DETR, 2021. mmcv calls these for CUDA tensors; elsewhere it has a version in PyTorch,
which keeps the samples of all levels at once. Here one level at a time is sampled, and sampled again in the
backward, so that memory holds those of one level only. Half precision is computed in float32.

``im2col_step`` is mmcv's chunk of the batch. It does not change the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_BILINEAR, _ZEROS = 0, 0  # ATen's numbers of `mode` and `padding_mode`


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
        return F.grid_sample(self.features, self._grid, "bilinear", "zeros", align_corners=False)

    @property
    def _grid(self) -> Tensor:
        """The places as ``grid_sample`` takes them, from -1 to 1."""
        return 2 * self.location - 1

    def gradients(self, grad: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of features and places, given that of the samples.

        A whole cell outside of the outermost ones, interpolation has a kink: offsets of whole cells, which
        training begins with, lead there. mmcv's kernel has no gradient there, ``grid_sample`` either none or
        that of the inside, as rounding has it.
        """
        by_features, by_grid = torch.ops.aten.grid_sampler_2d_backward(
            grad, self.features, self._grid, _BILINEAR, _ZEROS, False, [True, True]
        )
        size = self.location.new_tensor([self.features.size(3), self.features.size(2)])
        cell = self.location * size - 0.5
        outside = ((cell <= -1) | (cell >= size)).any(dim=-1, keepdim=True)
        return by_features, 2 * by_grid.masked_fill(outside, 0)


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
    grad = grad_output.unflatten(2, (value.size(2), value.size(3))).permute(0, 2, 3, 1).flatten(0, 1)
    for level in _levels(value, spatial_shapes, level_start_index, sampling_loc, attn_weight):
        by_sum = grad[..., None].to(level.features.dtype)
        by_features, by_location = level.gradients(by_sum * level.weight)
        by_weight = (by_sum * level.sample()).sum(dim=1)
        grad_value[:, level.keys] += by_features.flatten(2).unflatten(0, heads).permute(0, 3, 1, 2)
        grad_sampling_loc[:, :, :, level.number] = by_location.unflatten(0, heads).transpose(1, 2)
        grad_attn_weight[:, :, :, level.number] = by_weight.unflatten(0, heads).transpose(1, 2)
