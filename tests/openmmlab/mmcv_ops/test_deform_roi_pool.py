"""Deformable RoI pooling agrees with plain loops, with RoI align where no bin is moved, and its gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torchvision
from layouts import layouts, random
from torch._subclasses.fake_tensor import FakeTensorMode

from wrs_mm.openmmlab.mmcv_ops import deform_roi_pool as implementation
from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext

provide_mmcv_ext()

from mmcv.ops import (  # noqa: E402
    DeformRoIPoolPack,
    ModulatedDeformRoIPoolPack,
    deform_roi_pool,
)

BINS, SCALE, GAMMA = (2, 3), 0.25, 0.3

ROIS = torch.tensor(
    [
        [0, 1.0, 2.0, 17.0, 13.0],
        [1, -6.0, -3.0, 9.0, 40.0],  # reaches out of the image on three sides
        [1, 5.0, 5.0, 5.0, 9.0],  # without a width
        [0, 12.0, 12.0, 4.0, 2.0],  # turned inside out
        [0, 3.0, 1.0, 8.0, 6.0],
    ],
    dtype=torch.float64,
)


def tensors(dtype=torch.float64):
    """Features of 7 × 6 cells, and offsets of the bins of each RoI."""
    return random(2, 3, 7, 6, dtype=dtype), random(len(ROIS), 2, *BINS, seed=1, dtype=dtype)


def pool(features, offset, samples=2, rois=ROIS):
    return deform_roi_pool(features, rois.to(features.dtype), offset, BINS, SCALE, samples, GAMMA)


def interpolate(plane, y, x):
    height, width = plane.shape[1:]
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    row, column = int(y), int(x)
    below, right = min(row + 1, height - 1), min(column + 1, width - 1)
    share_y, share_x = y - row, x - column
    upper = (1 - share_x) * plane[:, row, column] + share_x * plane[:, row, right]
    lower = (1 - share_x) * plane[:, below, column] + share_x * plane[:, below, right]
    return (1 - share_y) * upper + share_y * lower


def loops(features, offset, samples):
    """One sample at a time."""
    features = features.double().numpy()
    out = np.zeros((len(ROIS), features.shape[1], *BINS))
    for k, (image, x1, y1, x2, y2) in enumerate(ROIS.tolist()):
        left, top = x1 * SCALE - 0.5, y1 * SCALE - 0.5
        width, height = (x2 - x1) * SCALE, (y2 - y1) * SCALE
        along_y = samples or max(0, math.ceil(height / BINS[0]))
        along_x = samples or max(0, math.ceil(width / BINS[1]))
        for i, j in np.ndindex(*BINS):
            moved_x, moved_y = (0, 0) if offset is None else offset[k, :, i, j].tolist()
            for a, b in np.ndindex(along_y, along_x):
                y = top + (i + (a + 0.5) / along_y) * height / BINS[0] + GAMMA * height * moved_y
                x = left + (j + (b + 0.5) / along_x) * width / BINS[1] + GAMMA * width * moved_x
                out[k, :, i, j] += interpolate(features[int(image)], y, x) / (along_y * along_x)
    return torch.from_numpy(out)


@pytest.mark.parametrize("samples", [0, 2])
@pytest.mark.parametrize("moved", [True, False])
def test_it_is_what_plain_loops_compute(moved, samples):
    features, offset = tensors()
    offset = offset if moved else None
    torch.testing.assert_close(pool(features, offset, samples), loops(features, offset, samples))


@pytest.mark.parametrize("samples", [0, 2])
def test_in_float32_it_is_the_same_but_for_rounding(samples):
    features, offset = tensors(torch.float32)
    out = pool(features, offset, samples)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, loops(features, offset, samples).float())


@pytest.mark.parametrize("samples", [0, 3])
def test_where_no_bin_is_moved_it_is_roi_align(samples):
    features = tensors()[0]
    expected = torchvision.ops.roi_align(features, ROIS, BINS, SCALE, samples, aligned=True)
    torch.testing.assert_close(pool(features, None, samples), expected)
    torch.testing.assert_close(pool(features, torch.zeros(len(ROIS), 2, *BINS).double(), samples), expected)


@pytest.mark.parametrize("samples", [0, 2])
def test_gradients(samples):
    inputs = [t.requires_grad_() for t in tensors()]
    assert torch.autograd.gradcheck(lambda x, o: pool(x, o, samples), inputs, fast_mode=True)
    assert torch.autograd.gradcheck(lambda x: pool(x, None, samples), inputs[:1])


@pytest.mark.parametrize("samples", [0, 2])
def test_how_many_rois_are_pooled_at_once_does_not_matter(monkeypatch, samples):
    results = []
    for at_once in (1, implementation._VALUES_AT_ONCE):
        monkeypatch.setattr(implementation, "_VALUES_AT_ONCE", at_once)
        leaves = [t.requires_grad_() for t in tensors()]
        out = pool(*leaves, samples)
        out.square().sum().backward()
        results.append([out, *(leaf.grad for leaf in leaves)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_how_tensors_lie_in_memory_does_not_matter():
    inputs = tensors()
    grad = random(len(ROIS), 3, *BINS, seed=2)
    results = []
    for features, offset, g in ((*inputs, grad), *zip(*map(layouts, (*inputs, grad)), strict=True)):
        leaves = [t.clone().requires_grad_() for t in (features, offset)]
        out = pool(*leaves)
        out.backward(g)
        results.append([out, *(leaf.grad for leaf in leaves)])
    for other in results[1:]:
        for actual, right in zip(other, results[0], strict=True):
            torch.testing.assert_close(actual, right)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_that_of_double_rounded(dtype):
    grad = random(len(ROIS), 3, *BINS, seed=2, dtype=dtype)
    results = []
    for kind in (dtype, torch.float64):
        leaves = [t.to(kind).requires_grad_() for t in tensors(dtype)]
        out = pool(*leaves)
        out.backward(grad.to(kind))
        results.append([out, *(leaf.grad for leaf in leaves)])
    for actual, expected in zip(*results, strict=True):
        assert actual.dtype == dtype
        torch.testing.assert_close(actual, expected.to(dtype))


def test_of_no_roi_there_is_nothing():
    features, offset = (t.requires_grad_() for t in tensors())
    out = pool(features, offset[:0], rois=ROIS[:0])
    out.sum().backward()
    assert out.shape == (0, 3, *BINS) and not features.grad.any()


def test_a_roi_without_extent_is_zero_and_so_are_its_gradients():
    features, offset = (t.requires_grad_() for t in tensors())
    out = pool(features, offset, samples=0)
    out.sum().backward()
    assert not out[2:4].any() and not offset.grad[2:4].any()


@pytest.mark.parametrize("samples", [0, 2])
def test_what_is_not_finite_shows_and_ends_no_process(samples):
    features, offset = tensors()
    rois = ROIS.clone()
    rois[0, 1], rois[1, 2] = torch.nan, torch.inf
    offset[4] = torch.nan
    offset.requires_grad_()
    out = pool(features, offset, samples, rois)
    out.sum().backward()
    assert out[0].isnan().all() and out[4].isnan().all()
    expected = pool(*tensors(), samples)
    torch.testing.assert_close(out[2:4], expected[2:4])


@pytest.mark.parametrize("kind", [DeformRoIPoolPack, ModulatedDeformRoIPoolPack])
def test_the_layer_learns_where_its_bins_go(kind):
    torch.manual_seed(0)
    layer = kind(BINS, 3, deform_fc_channels=8, spatial_scale=SCALE, sampling_ratio=2)
    features = tensors(torch.float32)[0].requires_grad_()
    layer(features, ROIS.float()).square().sum().backward()
    decides = [layer.offset_fc[-1]] + ([layer.mask_fc[2]] if hasattr(layer, "mask_fc") else [])
    assert all(linear.weight.grad.any() for linear in decides) and features.grad.any()


def test_tensors_of_a_gpu_stay_there():
    with FakeTensorMode(), torch.device("cuda:0"):
        features, offset, rois = torch.empty(2, 3, 7, 6), torch.empty(4, 2, *BINS), torch.empty(4, 5)
        assert pool(features, offset, rois=rois).device == features.device
