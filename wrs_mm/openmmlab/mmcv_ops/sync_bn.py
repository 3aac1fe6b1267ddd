"""mmcv's synchronized batch normalization, ``MMSyncBN``: ``sync_bn_*`` of ``mmcv._ext``.

The five steps of a forward and a backward between which mmcv talks to the other processes. Compiled mmcv has
them for CUDA only. Statistics are at least float32.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sync_bn_forward_mean(input: Tensor, mean: Tensor) -> None:
    """Write this process's mean of each channel.

    Args:
        input: (N, C, L).
        mean: (C,), written.
    """
    mean.copy_(_at_least_float32(input).mean(dim=(0, 2)))


def sync_bn_forward_var(input: Tensor, mean: Tensor, var: Tensor) -> None:
    """Write this process's mean square distance from ``mean``.

    Args:
        input: (N, C, L).
        mean: (C,), that of all processes.
        var: (C,), written.
    """
    var.copy_((_at_least_float32(input) - mean[:, None]).square().mean(dim=(0, 2)))


def sync_bn_forward_output(
    input: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    norm: Tensor,
    std: Tensor,
    output: Tensor,
    eps: float,
    momentum: float | Tensor,
    group_size: int,
) -> None:
    """Write the normalized input, and move the running statistics.

    Args:
        input: (N, C, L).
        mean: (C,), that of all processes.
        var: (C,), that of all processes, biased.
        weight: (C,), γ; None is 1.
        bias: (C,), β; None is 0.
        running_mean: (C,), written; None where no statistics are kept.
        running_var: (C,), written; unbiased as if every process had this one's number of values.
        norm: (N, C, L), written: the input normalized, before γ and β.
        std: (C,), written.
        output: (N, C, L), written.
        eps: ε.
        momentum: The share of this batch in the running statistics.
        group_size: Number of processes.
    """
    std.copy_((var + eps).sqrt())
    norm.copy_((_at_least_float32(input) - mean[:, None]) / std[:, None])
    scaled = norm if weight is None else norm * weight[:, None]
    output.copy_(scaled if bias is None else scaled + bias[:, None])
    if running_mean is None or running_var is None:
        return
    count = input.size(0) * input.size(2) * group_size
    unbiased = var * (count / (count - 1)) if count > 1 else var
    for running, batch in ((running_mean, mean), (running_var, unbiased)):
        running.copy_(momentum * batch + (1 - momentum) * running)


def sync_bn_backward_param(grad_output: Tensor, norm: Tensor, grad_weight: Tensor, grad_bias: Tensor) -> None:
    """Write this process's gradients of γ and β.

    Args:
        grad_output: (N, C, L).
        norm: (N, C, L), as the forward wrote it.
        grad_weight: (C,), written.
        grad_bias: (C,), written.
    """
    grad = _at_least_float32(grad_output)
    grad_weight.copy_((grad * norm).sum(dim=(0, 2)))
    grad_bias.copy_(grad.sum(dim=(0, 2)))


def sync_bn_backward_data(
    grad_output: Tensor,
    weight: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    norm: Tensor,
    std: Tensor,
    grad_input: Tensor,
) -> None:
    """Write the gradient with respect to the input.

    Args:
        grad_output: (N, C, L).
        weight: (C,), γ.
        grad_weight: (C,), the mean of it over processes.
        grad_bias: (C,), the mean of it over processes.
        norm: (N, C, L), as the forward wrote it.
        std: (C,), as the forward wrote it.
        grad_input: (N, C, L), written.
    """
    count = grad_output.size(0) * grad_output.size(2)
    through_statistics = (grad_weight[:, None] * norm + grad_bias[:, None]) / count
    grad = (_at_least_float32(grad_output) - through_statistics) * (weight / std)[:, None]
    grad_input.copy_(grad)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
