"""CARAFE is the weighted sum over windows that plain loops compute; its naive version is the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from layouts import layouts, random
from torch._subclasses.fake_tensor import FakeTensorMode

from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext

provide_mmcv_ext()

from mmcv import _ext  # noqa: E402
from mmcv.ops import CARAFEPack, carafe, carafe_naive  # noqa: E402

# kernel, groups, scale; the last two windows are larger than the image
GEOMETRIES = [(3, 1, 2), (5, 2, 1), (1, 4, 3), (5, 4, 2), (9, 2, 2)]


def tensors(geometry, batch=2, dtype=torch.float64):
    """Features of 4 channels and 3 × 4 cells, and weights."""
    kernel, groups, scale = geometry
    return random(batch, 4, 3, 4, dtype=dtype), random(
        batch, groups * kernel**2, 3 * scale, 4 * scale, seed=1, dtype=dtype
    )


def loops(features, weights, geometry):
    kernel, groups, scale = geometry
    features, weights = features.numpy(), weights.numpy()
    batch, channels, height, width = features.shape
    out = np.zeros((batch, channels, height * scale, width * scale), features.dtype)
    for n, c, y, x in np.ndindex(out.shape):
        first = c // (channels // groups) * kernel**2
        for i in range(kernel):
            for j in range(kernel):
                row, column = y // scale + i - kernel // 2, x // scale + j - kernel // 2
                if 0 <= row < height and 0 <= column < width:
                    weight = weights[n, first + i * kernel + j, y, x]
                    out[n, c, y, x] += weight * features[n, c, row, column]
    return torch.from_numpy(out)


def gradients(features, weights, grad, geometry):
    """Of both versions; mmcv lets the naive one only be differentiated on a GPU."""
    numbers = dict(zip(("kernel_size", "group_size", "scale_factor"), geometry, strict=True))
    leaves = [t.detach().requires_grad_() for t in (features, weights)]
    carafe(*leaves, *geometry).backward(grad)
    naive = [torch.full_like(t, torch.nan) for t in (features, weights)]
    _ext.carafe_naive_backward(grad, features, weights, *naive, **numbers)
    return [leaf.grad for leaf in leaves], naive


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_it_is_what_plain_loops_compute(geometry, dtype):
    inputs = tensors(geometry, dtype=dtype)
    expected = loops(*inputs, geometry)
    torch.testing.assert_close(carafe(*inputs, *geometry), expected)
    torch.testing.assert_close(carafe_naive(*inputs, *geometry), expected)


@pytest.mark.parametrize("geometry", GEOMETRIES[:4])
def test_gradients(geometry):
    inputs = [t.requires_grad_() for t in tensors(geometry)]
    assert torch.autograd.gradcheck(lambda x, w: carafe(x, w, *geometry), inputs, fast_mode=True)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_gradients_of_both_versions_are_equal_in_any_layout(geometry):
    features, weights = tensors(geometry)
    grad = random(2, 4, 3 * geometry[2], 4 * geometry[2], seed=2)
    expected, naive = gradients(features, weights, grad, geometry)
    for one, other in zip(expected, naive, strict=True):
        assert torch.equal(one, other)
    for laid_out in zip(*map(layouts, (features, weights, grad)), strict=True):
        out = carafe(*laid_out[:2], *geometry)
        torch.testing.assert_close(out, carafe(features, weights, *geometry))
        for result in gradients(*laid_out, geometry):
            for actual, right in zip(result, expected, strict=True):
                torch.testing.assert_close(actual, right)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_that_of_double_rounded(dtype):
    geometry = (5, 2, 2)
    features, weights = tensors(geometry, dtype=dtype)
    grad = random(2, 4, 6, 8, seed=2, dtype=dtype)
    out = carafe(features, weights, *geometry)
    double = carafe(features.double(), weights.double(), *geometry)
    torch.testing.assert_close(out, double.to(dtype))
    expected, _ = gradients(features.double(), weights.double(), grad.double(), geometry)
    for result in gradients(features, weights, grad, geometry):
        for actual, right in zip(result, expected, strict=True):
            torch.testing.assert_close(actual, right.to(dtype))


def test_of_no_image_there_is_nothing():
    inputs = [t.requires_grad_() for t in tensors((3, 1, 2), batch=0)]
    out = carafe(*inputs, 3, 1, 2)
    out.sum().backward()
    assert out.shape == (0, 4, 6, 8)
    assert all(leaf.grad.shape == leaf.shape for leaf in inputs)


def test_tensors_of_a_gpu_stay_there():
    with FakeTensorMode(), torch.device("cuda:0"):
        features, weights, out = torch.empty(2, 4, 3, 4), torch.empty(2, 9, 6, 8), torch.empty(2, 4, 6, 8)
        _ext.carafe_naive_forward(features, weights, out, kernel_size=3, group_size=1, scale_factor=2)
        _ext.carafe_naive_backward(
            out, features, weights, features, weights, kernel_size=3, group_size=1, scale_factor=2
        )
        assert features.device == weights.device == out.device


def test_the_layer_keeps_a_constant_image_inside_and_trains():
    torch.manual_seed(0)
    layer = CARAFEPack(8, scale_factor=2, up_kernel=3, compressed_channels=4)
    image = torch.full((1, 8, 5, 6), 3.0)
    out = layer(image)
    # Its weights are a softmax: means of equal values, but for the zeros around the image.
    torch.testing.assert_close(out[..., 2:-2, 2:-2], torch.full((1, 8, 6, 8), 3.0))
    layer(random(2, 8, 5, 6, dtype=torch.float32)).square().sum().backward()
    assert all(p.grad.any() for p in layer.parameters())
