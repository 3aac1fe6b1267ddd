"""Focal losses: ``sigmoid_focal_loss_*`` and ``softmax_focal_loss_*`` of ``mmcv._ext``.

Lin et al., Focal Loss for Dense Object Detection, 2017. Compiled mmcv has them for CUDA only; the
formulas are those of its kernels, with logarithms taken by log-sigmoid, which does not saturate.
Half precision is computed in float32 and rounded once.

A ``weight`` of a class multiplies the rows of that class. Compiled mmcv then reads past its end for
the label «background» (the number of classes); here that raises an index error.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _at_least_float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Write the loss of every row and class to ``output``.

    ``-α (1 - p)^γ log p`` where the class is the row's, ``-(1 - α) p^γ log(1 - p)`` elsewhere.

    Args:
        input: (N, C) logits; ``p`` is their sigmoid.
        target: (N,) int64; a value outside [0, C) makes all classes of the row negatives.
        weight: (C,) or empty: a factor for the rows of each class.
        output: (N, C), written.
        gamma: γ.
        alpha: α.

    Raises:
        IndexError: With a ``weight``, a target outside [0, C).
    """
    x = _at_least_float32(input)
    positive = _is_target(target, x)
    loss = torch.where(
        positive,
        -alpha * torch.sigmoid(-x) ** gamma * F.logsigmoid(x),
        -(1 - alpha) * torch.sigmoid(x) ** gamma * F.logsigmoid(-x),
    )
    output.copy_(loss * _weight_of_rows(weight, target)[:, None])


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Write the derivative of each element of the loss by its logit to ``grad_input``.

    Args:
        input: As in the forward.
        target: As in the forward.
        weight: As in the forward.
        grad_input: (N, C), written.
        gamma: As in the forward.
        alpha: As in the forward.

    Raises:
        IndexError: With a ``weight``, a target outside [0, C).
    """
    x = _at_least_float32(input)
    p, q = torch.sigmoid(x), torch.sigmoid(-x)  # q = 1 - p without its rounding error
    grad = torch.where(
        _is_target(target, x),
        -alpha * q**gamma * (q - gamma * p * F.logsigmoid(x)),
        -(1 - alpha) * p**gamma * (gamma * q * F.logsigmoid(-x) - p),
    )
    grad_input.copy_(grad * _weight_of_rows(weight, target)[:, None])


def _is_target(target: Tensor, x: Tensor) -> Tensor:
    return target[:, None] == torch.arange(x.size(1), device=x.device)


def _weight_of_rows(weight: Tensor, target: Tensor) -> Tensor:
    if weight.numel() == 0:
        return torch.ones((), device=weight.device).expand(target.size(0))
    return weight.index_select(0, target)


def softmax_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Write ``-α (1 - p)^γ log p`` of each row's own class to ``output``.

    Args:
        input: (N, C) **probabilities**: mmcv takes the softmax before it calls this.
        target: (N,) int64; the loss of a row with a negative target is 0.
        weight: (C,) or empty: a factor for the rows of each class.
        output: (N,), written.
        gamma: γ.
        alpha: α.

    Raises:
        RuntimeError: A target of C or more.
    """
    p, q = _own_probability(input, target)
    loss = -alpha * q**gamma * torch.log(p)
    output.copy_(_ignore_negative(loss * _weight_of_labeled(weight, target), target))


def softmax_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Write the gradient of each row's loss by the row's logits to ``grad_input``.

    Args:
        input: As in the forward.
        target: As in the forward.
        weight: As in the forward.
        buff: (N,), written: the derivative by the logarithm of the own class's probability.
        grad_input: (N, C), written.
        gamma: As in the forward.
        alpha: As in the forward.

    Raises:
        RuntimeError: A target of C or more.
    """
    p, q = _own_probability(input, target)
    by_log_p = alpha * (-(q**gamma) + gamma * q ** (gamma - 1) * p * torch.log(p))
    by_log_p = _ignore_negative(by_log_p * _weight_of_labeled(weight, target), target)
    buff.copy_(by_log_p)
    softmax = _at_least_float32(input)
    grad_input.copy_(by_log_p[:, None] * (_is_target(target, softmax).to(softmax) - softmax))


def _own_probability(softmax: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """``p`` of each row's class and ``1 - p``, (N,) each; never 0, for the power and logarithm."""
    softmax = _at_least_float32(softmax)
    p = softmax.gather(1, target.clamp(min=0)[:, None])[:, 0]
    tiny = torch.finfo(p.dtype).tiny
    return p.clamp(min=tiny), (1 - p).clamp(min=tiny)


def _ignore_negative(values: Tensor, target: Tensor) -> Tensor:
    return torch.where(target >= 0, values, torch.zeros_like(values))


def _weight_of_labeled(weight: Tensor, target: Tensor) -> Tensor:
    return _weight_of_rows(weight, target.clamp(min=0))
