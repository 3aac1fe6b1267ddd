"""Weight decay of scale-invariant weights, apart from that of all other parameters.

Which weights are scale-invariant is known only after the first forward, but learning rate schedulers hold
an optimizer's parameter groups from before it. So each group gets an empty partner at once, with its own
weight decay, and the weights move over when they are found.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

_MARK = "scale_invariant"
"""The key that distinguishes a partner group from the group that it was made for."""

_NAMES = "param_names"
"""The key of a group for its parameters' names, in their order; torch's, and some constructors'."""


def add_partner_groups(optimizer: Optimizer, decay_mult: float, other_decay_mult: float = 1.0) -> None:
    """Give each parameter group an empty partner, with a weight decay of its own.

    Call it before a learning rate scheduler is made. An optimizer that has partner groups keeps them; groups
    without weight decay get none.

    Args:
        optimizer: Any torch optimizer.
        decay_mult: Factor on the weight decay of the weights that will move over.
        other_decay_mult: Factor on the weight decay of those that stay.
    """
    if decay_mult == other_decay_mult == 1 or any(_MARK in group for group in optimizer.param_groups):
        return
    for group in [group for group in optimizer.param_groups if "weight_decay" in group]:
        decay = group["weight_decay"]
        # A copy: a list, or a learning rate in a tensor, would be changed in both.
        partner = copy.deepcopy({key: value for key, value in group.items() if key not in ("params", _NAMES)})
        if _NAMES in group:
            partner[_NAMES] = []
        optimizer.add_param_group({**partner, "params": [], "weight_decay": decay * decay_mult, _MARK: True})
        group.update({"weight_decay": decay * other_decay_mult, _MARK: False})


def move_to_partner_groups(optimizer: Optimizer, weights: Iterable[Tensor]) -> None:
    """Move weights from their groups to the partner groups, keeping the order within each.

    The order decides which optimizer state belongs to which parameter in a checkpoint, so a resumed run
    moves the weights before it loads the optimizer's state.

    Args:
        optimizer: One that :func:`add_partner_groups` has seen; else nothing happens.
        weights: Parameters of the optimizer.
    """
    moving = {id(weight) for weight in weights}
    groups = [group for group in optimizer.param_groups if group.get(_MARK) is False]
    partners = [group for group in optimizer.param_groups if group.get(_MARK) is True]
    for group, partner in zip(groups, partners, strict=True):
        moves = [id(parameter) in moving for parameter in group["params"]]
        for key in ("params", _NAMES):
            if len(group.get(key, ())) == len(moves):
                partner[key] += [value for value, move in zip(group[key], moves, strict=True) if move]
                group[key] = [value for value, move in zip(group[key], moves, strict=True) if not move]


def may_hold_selected(group: Mapping[str, Any]) -> bool:
    """Whether selected weights stay in this group once they are found: it is a partner, or there is none."""
    return group.get(_MARK) is not False
