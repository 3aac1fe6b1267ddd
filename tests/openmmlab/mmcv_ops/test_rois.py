"""What RoI operators do alike: regions that are not finite, layouts of memory, precisions.

Of these, the last is in wrs_mm.openmmlab.mmcv_ops.precision.
"""

from __future__ import annotations

import math

import pytest
import torch

from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext
from wrs_mm.openmmlab.mmcv_ops import rois as of_rois

provide_mmcv_ext()

from mmcv.ops import roi_align, roi_pool  # noqa: E402

POOLS = {
    "align": lambda x, rois: roi_align(x, rois, 3, 0.5, 2, "avg", True),
    "align, a sample a cell": lambda x, rois: roi_align(x, rois, 3, 0.5, 0, "avg", False),
    "align, maximum": lambda x, rois: roi_align(x, rois, 3, 0.5, 2, "max", True),
    "align, maximum, a sample a cell": lambda x, rois: roi_align(x, rois, 3, 0.5, 0, "max", False),
    "pool": lambda x, rois: roi_pool(x, rois, 3, 0.5),
}


@pytest.fixture(params=POOLS)
def pool(request):
    return POOLS[request.param]


def tensors(dtype=torch.float64):
    """Features of three images, and four regions, the last two of them of images 1 and 2."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 9, 8, generator=generator, dtype=torch.float64).to(dtype)
    rois = torch.tensor(
        [[0, 1, 2, 11, 9], [1, -3, 0, 8, 16], [1, 2, 2, 6, 5.5], [2, 0, 0, 15, 17]], dtype=dtype
    )
    return x, rois


@pytest.mark.parametrize("column", [1, 2, 3, 4])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_region_that_is_not_finite_gives_nan_and_the_others_what_they_gave(pool, column, value, dtype):
    x, rois = tensors(dtype)
    x.requires_grad_()
    expected = pool(x, rois)
    spoiled = rois.clone()
    spoiled[2, column] = value
    out = pool(x, spoiled)
    assert out[2].isnan().all()
    others = [0, 1, 3]
    assert torch.equal(out[others], expected[others])
    (gradient,) = torch.autograd.grad(out.sum(), x)
    # Where in its image the region lies is what nobody knows.
    assert gradient[1].isnan().all()
    (whole,) = torch.autograd.grad(expected.sum(), x)
    assert torch.equal(gradient[[0, 2]], whole[[0, 2]])


def test_of_a_region_whose_image_is_unknown_the_gradient_may_be_anywhere(pool):
    x, rois = tensors()
    rois[3, 0] = math.nan
    out = pool(x.requires_grad_(), rois)
    assert out[3].isnan().all() and not out[:3].isnan().any()
    out.sum().backward()
    assert x.grad.isnan().all()


def test_features_that_are_nan_do_not_vanish(pool):
    x, rois = tensors()
    x[0, 2, 2, 3] = math.nan
    out = pool(x, rois)
    assert out[0, 2].isnan().any()
    assert not out[1:].isnan().any() and not out[0, [0, 1, 3, 4]].isnan().any()


@pytest.mark.parametrize("layout", ["channels_last", "strided"])
def test_how_tensors_lie_in_memory_does_not_matter(pool, layout):
    x, rois = tensors()
    results = []
    for changed in (False, True):
        these, regions = x.clone(), rois.clone()
        gradient = torch.linspace(-1, 1, 4 * 5 * 9, dtype=torch.float64).view(4, 5, 3, 3)
        if changed:
            regions = torch.stack([regions, regions], dim=2)[..., 0]
            if layout == "channels_last":
                these = these.to(memory_format=torch.channels_last)
                gradient = gradient.to(memory_format=torch.channels_last)
            else:
                these = torch.stack([these, these], dim=4)[..., 0]
                gradient = torch.stack([gradient, gradient], dim=4)[..., 0]
        these = these.detach().requires_grad_()
        out = pool(these, regions)
        results.append((out, *torch.autograd.grad(out, these, gradient)))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float16, 0.02), (torch.bfloat16, 0.05)]
)
def test_lower_precisions_are_close_to_double(pool, dtype, tolerance):
    x, rois = tensors(dtype)
    out = pool(x.requires_grad_(), rois)
    assert out.dtype == dtype
    (gradient,) = torch.autograd.grad(out.sum(), x)
    double = x.detach().double().requires_grad_()
    expected = pool(double, rois.double())
    (whole,) = torch.autograd.grad(expected.sum(), double)
    torch.testing.assert_close(out.double(), expected, rtol=tolerance, atol=tolerance)
    assert (gradient.double() - whole).norm() < 3 * tolerance * whole.norm()


def test_coordinates_in_single_precision_stay_so_beside_features_in_bfloat16():
    # In bfloat16 the region would begin at pixel 256 or 258.
    x = torch.arange(300.0).expand(1, 1, 4, 300).bfloat16()
    out = roi_align(x, torch.tensor([[0, 257.0, 1, 258, 2]]), 1, 1.0, 1, "avg", True)
    assert out.item() == torch.tensor(257.0).bfloat16().item()
    precise = roi_align(x.float(), torch.tensor([[0, 257.0, 1, 258, 2]]), 1, 1.0, 1, "avg", True)
    assert out.item() == precise.bfloat16().item()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_features_under_autocast_are_pooled(pool, dtype):
    x, rois = tensors(torch.float32)
    conv = torch.nn.Conv2d(5, 4, 1)
    with torch.autocast("cpu", dtype):
        features = conv(x)
        out = pool(features, rois)
    assert features.dtype == out.dtype == dtype
    out.float().sum().backward()
    assert conv.weight.grad.any() and conv.weight.grad.isfinite().all()


def test_features_of_one_row_or_column_are_pooled(pool):
    for size in ((1, 8), (9, 1), (1, 1)):
        x = tensors()[0][:, :, : size[0], : size[1]].clone().requires_grad_()
        rois = torch.tensor([[0, -0.3, -0.3, 1.7, 1.7], [1, 0.3, 0.2, 1.1, 1.3]], dtype=torch.float64)
        assert torch.autograd.gradcheck(lambda x, rois=rois: pool(x, rois), x)


def test_gradients_are_summed_by_cell_alike_on_a_cpu_and_elsewhere():
    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(7, 3, 2, 4, generator=generator, dtype=torch.float64)
    cell = torch.randint(-1, 30, gradient.shape, generator=generator, dtype=torch.int32)
    rois = torch.zeros(7, 5, dtype=torch.float64)
    rois[:, 0] = torch.tensor([0, 1, 1, 0, 1, 0, 1])
    shape = torch.Size([2, 3, 5, 6])
    expected = torch.zeros(shape, dtype=torch.float64)
    for k, channel, row, column in torch.cartesian_prod(*map(torch.arange, gradient.shape)).tolist():
        where = int(cell[k, channel, row, column])
        if where >= 0:
            expected[int(rois[k, 0]), channel].view(-1)[where] += gradient[k, channel, row, column]
    for sums in (of_rois.sum_by_cell, of_rois.sum_by_index):
        torch.testing.assert_close(sums(gradient, rois, cell, shape), expected)
