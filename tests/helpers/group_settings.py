"""What an optimizer's groups say of each parameter of a model."""

from __future__ import annotations

from typing import Any

from torch import nn


def settings(model: nn.Module, wrapper: Any) -> dict[str, dict[str, Any]]:
    """By parameter, all that its group says but which others are in it."""
    said = {
        id(p): {k: v for k, v in group.items() if k not in ("params", "param_names", "scale_invariant")}
        for group in wrapper.optimizer.param_groups
        for p in group["params"]
    }
    return {name: said[id(p)] for name, p in model.named_parameters() if id(p) in said}
