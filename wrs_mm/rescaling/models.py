"""What is asked of a model: what is inside its wrapper, and which weights it has."""

from __future__ import annotations

from torch import nn

DEFORMABLE = {"DeformConv2d", "ModulatedDeformConv2d"}
"""Deformable convolutions go through autograd.Function, which the mode does not see; compiled ones not even
inside. They are known by the name of their module's class."""


def has_class_name(module: nn.Module, names: set[str]) -> bool:
    """Whether the module's class, or one that it inherits from, has one of the names."""
    return any(cls.__name__ in names for cls in type(module).__mro__)


def weights_of(model: nn.Module) -> list[tuple[str, nn.Parameter, int]]:
    """Each convolution and linear weight once: its name, the parameter, its groups if transposed."""
    parameters = {id(p): name for name, p in model.named_parameters()}
    found: dict[str, tuple[str, nn.Parameter, int]] = {}
    for module in model.modules():
        groups, weight = 0, None
        if isinstance(module, nn.MultiheadAttention):
            weight = module.in_proj_weight
        elif isinstance(module, nn.modules.conv._ConvNd):
            weight = module.weight
            groups = module.groups if module.transposed else 0
        elif isinstance(module, nn.Linear) or has_class_name(module, DEFORMABLE):
            weight = module.weight
        if isinstance(weight, nn.Parameter):
            name = parameters[id(weight)]
            found.setdefault(name, (name, weight, groups))
    order = {name: i for i, name in enumerate(parameters.values())}
    return sorted(found.values(), key=lambda item: order[item[0]])


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside a parallel wrapper (DDP), whose parameters' names the verdicts use."""
    inner = getattr(model, "module", None)
    return inner if isinstance(inner, nn.Module) and _is_parallel(model) else model


def _is_parallel(model: nn.Module) -> bool:
    """Whether the module is a (Distributed)DataParallel wrapper of torch or of mmengine."""
    parallel = (nn.parallel.DataParallel, nn.parallel.DistributedDataParallel)
    return isinstance(model, parallel) or has_class_name(model, {"MMSeparateDistributedDataParallel"})
