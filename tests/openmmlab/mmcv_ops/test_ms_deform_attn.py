"""Multi-scale deformable attention is what plain loops compute, and what mmcv's own version for CPUs does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from layouts import layouts, random
from torch._subclasses.fake_tensor import FakeTensorMode

from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext

provide_mmcv_ext()

import mmcv.ops.multi_scale_deform_attn as theirs  # noqa: E402
from mmcv import _ext  # noqa: E402

SHAPES = torch.tensor([[4, 5], [2, 3], [1, 1]])
STARTS = torch.tensor([0, 20, 26])
BATCH, QUERIES, HEADS, POINTS, CHANNELS = 2, 5, 3, 2, 4


def tensors(batch=BATCH, queries=QUERIES, dtype=torch.float64):
    """Value, places (some outside of the image) and weights."""
    value = random(batch, 27, HEADS, CHANNELS)
    location = 0.5 + 0.5 * random(batch, queries, HEADS, 3, POINTS, 2, seed=1)
    weight = random(batch, queries, HEADS, 3, POINTS, seed=2)
    return [t.to(dtype) for t in (value, location, weight)]


def forward(value, location, weight):
    return _ext.ms_deform_attn_forward(value, SHAPES, STARTS, location, weight, im2col_step=64)


def backward(value, location, weight, grad):
    grads = [torch.zeros_like(t) for t in (value, location, weight)]
    _ext.ms_deform_attn_backward(value, SHAPES, STARTS, location, weight, grad, *grads, im2col_step=64)
    return grads


def attend(value, location, weight):
    return theirs.MultiScaleDeformableAttnFunction.apply(value, SHAPES, STARTS, location, weight, 64)


def corners(place, size):
    """The two cells that a place lies between, with its shares of them, where they exist."""
    low = math.floor(place)
    pairs = (low, 1 - (place - low)), (low + 1, place - low)
    return [(cell, share) for cell, share in pairs if 0 <= cell < size]


def loops(value, location, weight):
    """The sum over levels, points and the four cells around each, one number at a time."""
    value, location, weight = (t.numpy() for t in (value, location, weight))
    out = np.zeros((len(value), location.shape[1], HEADS, CHANNELS), value.dtype)
    for b, q, h, level, p in np.ndindex(location.shape[:5]):
        (height, width), start = SHAPES[level].tolist(), int(STARTS[level])
        x, y = location[b, q, h, level, p] * (width, height) - 0.5
        for row, share_y in corners(y, height):
            for column, share_x in corners(x, width):
                cell = value[b, start + row * width + column, h]
                out[b, q, h] += weight[b, q, h, level, p] * share_y * share_x * cell
    return torch.from_numpy(out).flatten(2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_what_plain_loops_compute(dtype):
    inputs = tensors(dtype=dtype)
    expected = loops(*inputs)
    torch.testing.assert_close(forward(*inputs), expected)
    torch.testing.assert_close(attend(*inputs), expected)


def test_outputs_and_gradients_are_those_of_mmcv_on_cpus():
    grad = random(BATCH, QUERIES, HEADS * CHANNELS, seed=3)
    results = []
    for compute in (
        attend,
        lambda v, s, w: theirs.multi_scale_deformable_attn_pytorch(v, SHAPES, s, w),
    ):
        leaves = [t.requires_grad_() for t in tensors()]
        out = compute(*leaves)
        out.backward(grad)
        results.append([out, *(leaf.grad for leaf in leaves)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_the_output():
    assert torch.autograd.gradcheck(attend, [t.requires_grad_() for t in tensors()])


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_place_one_cell_outside_of_the_image_has_no_gradient(axis, side):
    value, location, weight = tensors()
    grad = random(BATCH, QUERIES, HEADS * CHANNELS, seed=3)
    size = (5, 4)[axis]
    location[:, :, :, 0] = 0.5
    location[:, :, :, 0, :, axis] = (0.5 if side < 0 else size + 0.5) / size - (side < 0) / size
    by_location = backward(value, location, weight, grad)[1]
    assert (by_location[:, :, :, 0] == 0).all()
    location[:, :, :, 0, :, axis] -= 1e-9 * side  # a little towards the image
    by_location = backward(value, location, weight, grad)[1]
    assert (by_location[:, :, :, 0, :, axis] != 0).all()


@pytest.mark.parametrize(("batch", "queries"), [(0, QUERIES), (BATCH, 0)])
def test_of_nothing_it_is_nothing(batch, queries):
    leaves = [t.requires_grad_() for t in tensors(batch, queries)]
    out = attend(*leaves)
    out.sum().backward()
    assert out.shape == (batch, queries, HEADS * CHANNELS)
    assert all(not leaf.grad.any() for leaf in leaves)


def test_an_empty_level_adds_nothing():
    value, location, weight = tensors()
    shapes, starts = torch.cat([SHAPES, torch.tensor([[0, 3]])]), torch.cat([STARTS, torch.tensor([27])])
    location, weight = (torch.cat([t, t[:, :, :, :1]], dim=3) for t in (location, weight))
    out = _ext.ms_deform_attn_forward(value, shapes, starts, location, weight, im2col_step=1)
    torch.testing.assert_close(out, forward(*tensors()))


def test_how_tensors_lie_in_memory_does_not_matter():
    inputs, grad = tensors(), random(BATCH, QUERIES, HEADS * CHANNELS, seed=3)
    expected = [forward(*inputs), *backward(*inputs, grad)]
    for laid_out in zip(*map(layouts, (*inputs, grad)), strict=False):
        for actual, right in zip([forward(*laid_out[:3]), *backward(*laid_out)], expected, strict=True):
            torch.testing.assert_close(actual, right)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_that_of_double_rounded(dtype):
    inputs, grad = tensors(dtype=dtype), random(BATCH, QUERIES, HEADS * CHANNELS, seed=3, dtype=dtype)
    double = [t.double() for t in inputs]
    expected = [forward(*double), *backward(*double, grad.double())]
    for actual, right in zip([forward(*inputs), *backward(*inputs, grad)], expected, strict=True):
        assert actual.dtype == dtype
        torch.testing.assert_close(actual, right.to(dtype))


def test_places_that_are_not_finite_end_no_process():
    value, location, weight = tensors()
    location[0, 0] = torch.nan
    location[0, 1] = torch.inf
    out = forward(value, location, weight)
    torch.testing.assert_close(out[1], forward(*tensors())[1])
    by_value, by_location, by_weight = backward(value, location, weight, torch.ones_like(out))
    # mmcv's kernel leaves such places out.
    assert not by_location[0, :2].any() and not by_weight[0, :2].any()
    assert by_value.isfinite().all()


def test_tensors_of_a_gpu_stay_there():
    with FakeTensorMode(allow_non_fake_inputs=True), torch.device("cuda:0"):
        inputs = torch.empty(2, 27, 3, 4), torch.empty(2, 5, 3, 3, 2, 2), torch.empty(2, 5, 3, 3, 2)
        out = forward(*inputs)
        assert all(t.device == out.device for t in (*inputs, *backward(*inputs, out)))
        assert out.device.type == "cuda"


def test_the_layer_gives_on_other_devices_what_it_gives_on_the_cpu(monkeypatch):
    torch.manual_seed(0)
    layer = theirs.MultiScaleDeformableAttention(8, 4, 3, POINTS, batch_first=True, dropout=0.0).double()
    torch.nn.init.normal_(layer.attention_weights.weight)
    torch.nn.init.normal_(layer.sampling_offsets.weight)
    query, reference = random(2, 27, 8), torch.rand(2, 27, 3, 2, dtype=torch.float64)

    def run():
        layer.zero_grad()
        out = layer(query, spatial_shapes=SHAPES, level_start_index=STARTS, reference_points=reference)
        out.square().sum().backward()
        return [out, *(p.grad for p in layer.parameters())]

    on_cpu = run()
    calls = []
    ours = _ext.ms_deform_attn_forward
    monkeypatch.setattr(
        _ext, "ms_deform_attn_forward", lambda *args, **options: calls.append(1) or ours(*args, **options)
    )
    # mmcv asks for CUDA in the same breath; of no real device is there one here.
    monkeypatch.setattr(theirs, "IS_MLU_AVAILABLE", True)
    monkeypatch.setattr(torch.Tensor, "is_mlu", True, raising=False)
    for actual, expected in zip(run(), on_cpu, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)
    assert calls == [1]
