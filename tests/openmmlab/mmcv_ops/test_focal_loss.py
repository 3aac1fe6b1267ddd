"""Focal losses and their gradients: compiled mmcv has none on the CPU, so plain formulas judge."""

from __future__ import annotations

import math

import pytest
import torch

from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext

provide_mmcv_ext()

from mmcv.ops import (  # noqa: E402
    SoftmaxFocalLoss,
    sigmoid_focal_loss,
    softmax_focal_loss,
)

GAMMAS = [0.0, 0.5, 1.0, 2.0]


def logits_and_targets(background=False):
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(12, 5, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, 6 if background else 5, (12,), generator=generator)


def loop_sigmoid(x, target, gamma, alpha, weight=None):
    loss = torch.zeros_like(x)
    for n in range(x.size(0)):
        for c in range(x.size(1)):
            p = 1 / (1 + math.exp(-x[n, c].item()))
            if target[n] == c:
                loss[n, c] = -alpha * (1 - p) ** gamma * math.log(p)
            else:
                loss[n, c] = -(1 - alpha) * p**gamma * math.log(1 - p)
            if weight is not None:
                loss[n, c] *= weight[target[n]]
    return loss


def loop_softmax(x, target, gamma, alpha, weight=None):
    loss = x.new_zeros(x.size(0))
    for n in range(x.size(0)):
        exponentials = [math.exp(v) for v in x[n].tolist()]
        p = exponentials[target[n]] / sum(exponentials)
        loss[n] = -alpha * (1 - p) ** gamma * math.log(p)
        if weight is not None:
            loss[n] *= weight[target[n]]
    return loss


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("alpha", [0.25, 0.6])
def test_sigmoid_focal_loss_is_the_formula(gamma, alpha):
    x, target = logits_and_targets(background=True)
    loss = sigmoid_focal_loss(x, target, gamma, alpha, None, "none")
    torch.testing.assert_close(loss, loop_sigmoid(x, target, gamma, alpha))


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("alpha", [0.25, 0.6])
def test_softmax_focal_loss_is_the_formula(gamma, alpha):
    x, target = logits_and_targets()
    loss = softmax_focal_loss(x, target, gamma, alpha, None, "none")
    torch.testing.assert_close(loss, loop_softmax(x, target, gamma, alpha))


def test_a_weight_multiplies_the_rows_of_its_class():
    x, target = logits_and_targets()
    weight = torch.arange(1, 6, dtype=torch.float64)
    sigmoid = sigmoid_focal_loss(x, target, 2.0, 0.25, weight, "none")
    torch.testing.assert_close(sigmoid, loop_sigmoid(x, target, 2.0, 0.25, weight))
    softmax = softmax_focal_loss(x, target, 2.0, 0.25, weight, "none")
    torch.testing.assert_close(softmax, loop_softmax(x, target, 2.0, 0.25, weight))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("loss", [sigmoid_focal_loss, softmax_focal_loss])
def test_gradients_are_those_of_the_loss(loss, gamma, reduction, weighted):
    x, target = logits_and_targets()
    weight = torch.arange(1, 6, dtype=torch.float64) if weighted else None
    x.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: loss(x, target, gamma, 0.25, weight, reduction),
        (x,),
    )


def test_with_a_weight_background_has_no_row_in_it():
    x, target = logits_and_targets(background=True)
    assert (target == 5).any()
    with pytest.raises(IndexError):
        sigmoid_focal_loss(x, target, 2.0, 0.25, torch.ones(5, dtype=torch.float64), "none")


def test_a_negative_label_has_no_softmax_loss_and_no_gradient():
    x, target = logits_and_targets()
    target[::2] = -1
    x.requires_grad_()
    loss = SoftmaxFocalLoss(2.0, 0.25, reduction="none")(x, target)
    assert (loss[::2] == 0).all() and (loss[1::2] > 0).all()
    SoftmaxFocalLoss(2.0, 0.25, reduction="sum")(x, target).backward()
    assert (x.grad[::2] == 0).all() and (x.grad[1::2] != 0).all()


@pytest.mark.parametrize("loss", [sigmoid_focal_loss, softmax_focal_loss])
@pytest.mark.parametrize("gamma", GAMMAS)
def test_certain_predictions_stay_finite(loss, gamma):
    x = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    for target in ([0, 1], [1, 0]):
        x.grad = None
        value = loss(x, torch.tensor(target), gamma, 0.25, None, "sum")
        value.backward()
        assert value.isfinite()
        assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("loss", [sigmoid_focal_loss, softmax_focal_loss])
def test_half_precision_is_close_to_double(loss, dtype):
    x, target = logits_and_targets()
    half = loss(x.to(dtype), target, 2.0, 0.25, None, "none")
    assert half.dtype == dtype
    double = loss(x, target, 2.0, 0.25, None, "none")
    torch.testing.assert_close(half.double(), double, rtol=0.05, atol=0.02)
