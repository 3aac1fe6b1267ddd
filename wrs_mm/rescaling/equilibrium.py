"""Where weight decay takes scale-invariant filters in the long run: how far they turn, and their norm.

Let w be a filter, g its gradient, η the learning rate, λ the weight decay, and ``E`` the mean over many
updates. What is taken for given: ``⟨w, g⟩ = 0``, since the loss does not feel the norm; ``‖g‖² = L / ‖w‖²``,
with ``L`` the mean squared gradient norm at unit norm; gradients of different updates are uncorrelated; η, λ
and L stay as they are for long enough (:func:`updates_to_equilibrium`); ηλ is small, so that ``‖w‖`` hardly
varies. Then the means below stand still.

**SGD with momentum** (Wan et al., arXiv 2006.08419): ``v' = α v + g + λ w``, ``w' = w − η v'``. Write
``W = E‖w‖²``, ``V = E‖v'‖²``, ``P = E⟨w', v'⟩`` and ``Q = E⟨w, v'⟩``. The second line gives ``P = Q − η V``,
and ``W = W − 2 η Q + η² V``, so ``Q = η V / 2`` and ``P = −η V / 2``. The first, multiplied by w, gives
``Q = α P + λ W``, so ``λ W = η V (1 + α) / 2``. An update moves a filter by ``η v'``, and hence turns it by
``√(η² V / W) = √(2 η λ / (1 + α))``. The first line squared gives ``V = α² V + E‖g‖² + λ² W + 2 α λ P``; with
the above, ``E‖g‖² = (1 − α) (1 + α − η λ / 2) V``, and with ``E‖g‖² = L / W`` and V in terms of W,
``W² = η L / (λ (1 − α) (2 − η λ / (1 + α)))``.

**AdamW** (Kosson et al., arXiv 2305.17212): ``m' = β₁ m + (1 − β₁) ĝ``, ``w' = (1 − η λ) w − η m'``, where
``ĝ`` is the gradient over the root of its own running mean square: its size does not depend on that of the
gradient. Write ``D = E‖ĝ‖²``, and take ``E⟨w, ĝ⟩ = 0`` for given. ``M = E‖m'‖² = D (1 − β₁) / (1 + β₁)``.
With ``P = E⟨w', m'⟩`` and ``Q = E⟨w, m'⟩ = β₁ P`` the second line gives ``P = (1 − η λ) Q − η M``, so to the
first order in ηλ ``P = −η M / (1 − β₁)``; and ``W = (1 − η λ)² W − 2 η Q + η² M``, so
``2 η λ W = η² M (1 + β₁) / (1 − β₁)``. An update turns a filter by
``√(η² M / W) = √(2 η λ (1 − β₁) / (1 + β₁))``.

Of other optimizers nothing is said: Adam with L2, decoupled decay with SGD, Nesterov's momentum.
"""

from __future__ import annotations

from typing import Any

from torch.optim import SGD, Adam, AdamW, Optimizer

from wrs_mm.errors import OptionError

LAWS = ("sgd", "adamw")
"""SGD with momentum, and AdamW."""


def law_of(optimizer: Optimizer) -> str:
    """Which of :data:`LAWS` an optimizer follows; empty where it is none of them."""
    groups = optimizer.param_groups
    if type(optimizer) is SGD and not any(group["nesterov"] or group["dampening"] for group in groups):
        return "sgd"
    decoupled = all(group.get("decoupled_weight_decay", type(optimizer) is AdamW) for group in groups)
    plain = not any(group.get("amsgrad") for group in groups)
    return "adamw" if type(optimizer) in (Adam, AdamW) and decoupled and plain else ""


def equilibrium_turn(law: str, lr: Any, decay: Any, momentum: Any) -> Any:
    """By how many radians an update turns a filter, root mean square.

    Args:
        law: One of :data:`LAWS`.
        lr: The learning rate η. Like the following ones a number, or an array or a tensor of numbers.
        decay: The weight decay λ.
        momentum: α of SGD, β₁ of AdamW.

    Example:
        >>> round(equilibrium_turn("sgd", 0.1, 1e-4, 0.9), 6)
        0.003244
    """
    _check(law)
    share = 1.0 if law == "sgd" else 1 - momentum
    return (2 * lr * decay * share / (1 + momentum)) ** 0.5


def equilibrium_norm(lr: Any, decay: Any, momentum: Any, squared_gradient: Any) -> Any:
    """The norm of a filter under SGD with momentum.

    ``‖w‖⁴`` goes with ``squared_gradient``: over several filters the fourth powers can be averaged.

    Args:
        lr: The learning rate η. Like the following ones a number, or an array or a tensor of numbers.
        decay: The weight decay λ.
        momentum: The momentum α.
        squared_gradient: L, the mean of ``‖w‖² ‖g‖²``.
    """
    rest = decay * (1 - momentum) * (2 - lr * decay / (1 + momentum))
    return (lr * squared_gradient / rest) ** 0.25


def updates_to_equilibrium(law: str, lr: Any, decay: Any, momentum: Any) -> Any:
    """After how many updates the distance to the equilibrium is 1/e of what it was.

    Of SGD that of ``‖w‖⁴``: a mean update makes ``‖w‖²`` grow by
    ``η² L / ((1 − α)² ‖w‖²) − 2 η λ / (1 − α) ‖w‖²``, and so ``‖w‖⁴`` by
    ``2 η² L / (1 − α)² − 4 η λ / (1 − α) ‖w‖⁴``. Of AdamW that of ``‖w‖²``, which grows by
    ``η² D − 2 η λ ‖w‖²``.

    Args:
        law: One of :data:`LAWS`.
        lr: As in :func:`equilibrium_turn`, and likewise the others.
        decay: The weight decay.
        momentum: α of SGD, β₁ of AdamW.
    """
    _check(law)
    return (1 - momentum) / (4 * lr * decay) if law == "sgd" else 1 / (2 * lr * decay)


def _check(law: str) -> None:
    if law not in LAWS:
        raise OptionError(f"there is no law {law!r} of an equilibrium; write one of {', '.join(LAWS)}")
