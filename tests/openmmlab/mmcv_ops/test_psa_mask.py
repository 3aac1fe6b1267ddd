"""Windows of PSANet are laid over the image as plain loops lay them, and gradients go the way back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from layouts import layouts, random
from torch._subclasses.fake_tensor import FakeTensorMode

from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext
from wrs_mm.openmmlab.synthetic import build_model, random_batch, train_loss

provide_mmcv_ext()

from mmcv.ops import PSAMask  # noqa: E402

TYPES = ["collect", "distribute"]
# height and width of the window; of a window of even size, the middle is not in the middle
WINDOWS = [(3, 3), (9, 7), (5, 11), (2, 4), (1, 1)]


def loops(windows, kind, size):
    values = windows.numpy()
    batch, _, height, width = values.shape
    values = values.reshape(batch, *size, height, width)
    out = np.zeros((batch, height, width, height, width), values.dtype)
    for n, i, j, y, x in np.ndindex(values.shape):
        about_y, about_x = y + i - (size[0] - 1) // 2, x + j - (size[1] - 1) // 2
        if 0 <= about_y < height and 0 <= about_x < width:
            if kind == "collect":
                out[n, about_y, about_x, y, x] = values[n, i, j, y, x]
            else:
                out[n, y, x, about_y, about_x] = values[n, i, j, y, x]
    return torch.from_numpy(out).flatten(1, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", WINDOWS)
@pytest.mark.parametrize("kind", TYPES)
def test_each_value_goes_where_plain_loops_put_it(kind, size, dtype):
    windows = random(2, size[0] * size[1], 4, 5, dtype=dtype)
    expected = loops(windows, kind, size)
    for x in (windows, *layouts(windows)):
        assert torch.equal(PSAMask(kind, size)(x), expected)


@pytest.mark.parametrize("size", WINDOWS)
@pytest.mark.parametrize("kind", TYPES)
def test_gradients(kind, size):
    windows = random(2, size[0] * size[1], 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(PSAMask(kind, size), windows)


@pytest.mark.parametrize("kind", TYPES)
def test_gradients_in_any_layout(kind):
    windows = random(2, 15, 4, 6)
    grad = random(2, 24, 4, 6, seed=1)
    # The operation is linear, and its matrix has at most one 1 a row and column: ⟨g, A w⟩ = ⟨Aᵀ g, w⟩.
    for g in (grad, *layouts(grad)):
        leaf = windows.clone().requires_grad_()
        out = PSAMask(kind, (5, 3))(leaf)
        out.backward(g)
        torch.testing.assert_close((g * out).sum(), (leaf.grad * windows).sum())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", TYPES)
def test_half_precision_is_copied(kind, dtype):
    windows = random(2, 15, 4, 6, dtype=dtype).requires_grad_()
    out = PSAMask(kind, (5, 3))(windows)
    out.sum().backward()
    assert torch.equal(out.double(), loops(windows.detach().double(), kind, (5, 3)))
    assert windows.grad.dtype == dtype and set(windows.grad.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("kind", TYPES)
def test_of_no_image_there_is_nothing(kind):
    windows = random(0, 15, 4, 6).requires_grad_()
    out = PSAMask(kind, (5, 3))(windows)
    out.sum().backward()
    assert out.shape == (0, 24, 4, 6) and windows.grad.shape == windows.shape


@pytest.mark.parametrize("kind", TYPES)
def test_tensors_of_a_gpu_stay_there(kind):
    from mmcv import _ext

    numbers = {"psa_type": TYPES.index(kind), "num_": 2, "h_feature": 4, "w_feature": 6, "h_mask": 5}
    numbers |= {"w_mask": 3, "half_h_mask": 2, "half_w_mask": 1}
    with FakeTensorMode(), torch.device("cuda:0"):
        windows, out = torch.empty(2, 15, 4, 6), torch.empty(2, 24, 4, 6)
        _ext.psamask_forward(windows, out, **numbers)
        _ext.psamask_backward(out, windows, **numbers)
        assert windows.device == out.device


def test_psanet_trains():
    config = load_config(
        "mmseg::psanet/psanet_r50-d8_4xb2-40k_cityscapes-512x1024.py",
        {
            "model.backbone": {"depth": 18, "base_channels": 8, "stem_channels": 8},
            "model.decode_head": {"in_channels": 64, "channels": 8},
            "model.auxiliary_head": {"in_channels": 32, "channels": 8},
        },
    )
    model = build_model(config)
    batch = random_batch(model, size=(128, 64))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for _ in range(2):
        loss = train_loss(model, batch, seed=0)
        optimizer.zero_grad()
        loss.backward()
        attention = [p.grad for n, p in model.decode_head.named_parameters() if "attention" in n]
        assert attention and all(grad.any() for grad in attention)
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]
