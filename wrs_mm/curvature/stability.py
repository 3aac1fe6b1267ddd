"""How sharp a loss may be before an optimizer's steps on it grow: the edge of stability."""

from __future__ import annotations

from torch.optim import SGD, Optimizer


def largest_stable_sharpness(optimizer: Optimizer) -> float | None:
    """Above this largest eigenvalue of the Hessian, steps on a quadratic grow without bound.

    ``2 / η`` for gradient descent, ``(2 + 2 α) / η`` with momentum α, ``(2 + 2 α) / (η (1 + 2 α))`` with
    Nesterov's (Cohen et al., «Gradient descent on neural networks typically occurs at the edge of
    stability», ICLR 2021, section 2 and appendix B).

    Args:
        optimizer: One whose parameter groups may differ; the one with the least bound counts.

    Returns:
        The sharpness; None for others than SGD, whose bound is on the preconditioned Hessian, with dampening,
        and where the learning rate is 0.
    """
    if not isinstance(optimizer, SGD):
        return None
    bounds = []
    for group in optimizer.param_groups:
        lr, momentum = float(group["lr"]), group["momentum"]
        if group["dampening"]:
            return None
        if group["params"] and lr > 0:
            bounds.append((2 + 2 * momentum) / (lr * (1 + 2 * momentum if group["nesterov"] else 1)))
    return min(bounds, default=None)
