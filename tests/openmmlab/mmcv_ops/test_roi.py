"""RoI pooling and RoI align agree with plain loops, with torchvision and with their gradients.

The operators are in wrs_mm.openmmlab.mmcv_ops.roi_pool, wrs_mm.openmmlab.mmcv_ops.roi_align and, of
the maximum, wrs_mm.openmmlab.mmcv_ops.roi_align_max.
"""

from __future__ import annotations

import math

import pytest
import torch
import torchvision

from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext

provide_mmcv_ext()

from mmcv.ops import RoIPool, roi_align, roi_pool  # noqa: E402


def features(channels=3, height=11, width=13, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, channels, height, width, generator=generator, dtype=torch.float64)


def random_rois(n, reach, seed=1):
    """RoIs of all sizes, some reaching out of the image."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 2, (n, 1), generator=generator)
    corner = reach * (1.1 * torch.rand(n, 2, generator=generator, dtype=torch.float64) - 0.15)
    size = reach * torch.rand(n, 2, generator=generator, dtype=torch.float64)
    return torch.cat([image, corner, corner + size], dim=1)


def loop_roi_pool(x, rois, bins_h, bins_w, scale):
    """The loops of mmcv's roi_pool_cuda_kernel.cuh."""
    _, channels, height, width = x.shape
    out = x.new_zeros(len(rois), channels, bins_h, bins_w)
    for k, (image, x1, y1, x2, y2) in enumerate(rois.tolist()):
        left, top = x1 * scale, y1 * scale
        roi_w, roi_h = (x2 + 1) * scale - left, (y2 + 1) * scale - top
        if roi_w <= 0 or roi_h <= 0:
            continue
        for i in range(bins_h):
            for j in range(bins_w):
                row = math.floor(i * (roi_h / bins_h) + top)
                row_end = math.ceil((i + 1) * (roi_h / bins_h) + top)
                column = math.floor(j * (roi_w / bins_w) + left)
                column_end = math.ceil((j + 1) * (roi_w / bins_w) + left)
                row, row_end = (min(max(v, 0), height) for v in (row, row_end))
                column, column_end = (min(max(v, 0), width) for v in (column, column_end))
                if row_end > row and column_end > column:
                    cells = x[int(image), :, row:row_end, column:column_end]
                    out[k, :, i, j] = cells.amax(dim=(1, 2))
    return out


def interpolate(plane, y, x):
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    y0, x0 = int(y), int(x)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    dy, dx = y - y0, x - x0
    upper = plane[y0, x0] * (1 - dx) + plane[y0, x1] * dx
    lower = plane[y1, x0] * (1 - dx) + plane[y1, x1] * dx
    return (upper * (1 - dy) + lower * dy).item()


def loop_roi_align(x, rois, bins, scale, ratio, mode, aligned):
    channels = x.size(1)
    out = x.new_zeros(len(rois), channels, bins, bins)
    shift = 0.5 if aligned else 0.0
    for k, roi in enumerate(rois.tolist()):
        left, top, right, bottom = (v * scale - shift for v in roi[1:])
        roi_h, roi_w = bottom - top, right - left
        if not aligned:
            roi_h, roi_w = max(roi_h, 1.0), max(roi_w, 1.0)
        bin_h, bin_w = roi_h / bins, roi_w / bins
        grid_h, grid_w = (ratio, ratio) if ratio > 0 else (math.ceil(bin_h), math.ceil(bin_w))
        for c in range(channels):
            for i in range(bins):
                for j in range(bins):
                    samples = [
                        interpolate(
                            x[int(roi[0]), c],
                            top + (i + (a + 0.5) / grid_h) * bin_h,
                            left + (j + (b + 0.5) / grid_w) * bin_w,
                        )
                        for a in range(grid_h)
                        for b in range(grid_w)
                    ]
                    if samples:
                        out[k, c, i, j] = max(samples) if mode == "max" else sum(samples) / len(samples)
    return out


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.25, 0.3])
@pytest.mark.parametrize("bins", [(1, 1), (2, 3), (7, 7)])
def test_roi_pool_is_what_plain_loops_pool(scale, bins):
    x, rois = features(), random_rois(20, reach=12 / scale)
    out = roi_pool(x, rois, bins, scale)
    torch.testing.assert_close(out, loop_roi_pool(x, rois, *bins, scale))
    assert (out == 0).any()  # some bins lie outside


def test_roi_pool_is_torchvision_s_for_rois_of_whole_cells():
    x = features(seed=2)
    rois = torch.cat([random_rois(20, 12)[:, :1], random_rois(20, 12)[:, 1:].round()], dim=1)
    torch.testing.assert_close(RoIPool(3)(x, rois), torchvision.ops.roi_pool(x, rois, 3))


def test_roi_pool_of_a_roi_turned_inside_out_is_zero():
    x = features().requires_grad_()
    out = roi_pool(x, torch.tensor([[0, 8.0, 8.0, 2.0, 2.0]], dtype=torch.float64), 2, 1.0)
    out.sum().backward()
    assert (out == 0).all() and (x.grad == 0).all()


@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_gradient_of_roi_pool(scale):
    x = features(channels=2, height=6, width=7).requires_grad_()
    rois = random_rois(6, reach=7 / scale)
    assert torch.autograd.gradcheck(lambda x: roi_pool(x, rois, 3, scale), (x,))


def test_no_roi_gives_an_empty_output_and_a_zero_gradient():
    for pool in (
        lambda x, r: roi_pool(x, r, 3, 1.0),
        lambda x, r: roi_align(x, r, 3, 1.0, 0, "avg", True),
        lambda x, r: roi_align(x, r, 3, 1.0, 0, "max", True),
        lambda x, r: roi_align(x, r, 3, 1.0, 2, "max", True),
    ):
        x = features().requires_grad_()
        out = pool(x, x.detach().new_zeros(0, 5))
        assert out.shape == (0, 3, 3, 3)
        out.sum().backward()
        assert (x.grad == 0).all()


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 1, 2])
def test_roi_align_is_what_plain_loops_pool(mode, aligned, ratio):
    x, rois = features(channels=2), random_rois(10, reach=24)
    rois[0, 3:] = rois[0, 1:3]  # one RoI without extent
    out = roi_align(x, rois, 2, 0.5, ratio, mode, aligned)
    torch.testing.assert_close(out, loop_roi_align(x, rois, 2, 0.5, ratio, mode, aligned))


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 2])
def test_gradient_of_roi_align(mode, aligned, ratio):
    x, rois = features(channels=2, height=6, width=7).requires_grad_(), random_rois(5, reach=12)
    assert torch.autograd.gradcheck(lambda x: roi_align(x, rois, 2, 0.5, ratio, mode, aligned), x)


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_a_roi_without_extent_has_no_sample_and_no_gradient(mode):
    x = features().requires_grad_()
    out = roi_align(x, torch.tensor([[0, 3.0, 3, 3, 3]]).double(), 2, 1.0, 0, mode, True)
    out.sum().backward()
    assert (out == 0).all() and (x.grad == 0).all()


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_roi_align_in_half_precision_is_close_to_double(mode):
    x, rois = features(), random_rois(5, reach=12)
    half = roi_align(x.half(), rois.half(), 2, 1.0, 2, mode, True)
    assert half.dtype == torch.float16
    double = roi_align(x.half().double(), rois.half().double(), 2, 1.0, 2, mode, True)
    torch.testing.assert_close(half.double(), double, rtol=0.02, atol=0.02)
