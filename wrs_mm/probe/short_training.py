"""A short training with an arm of a recipe, in which layers are watched: their weights and their patches."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from wrs_mm.errors import OptionError
from wrs_mm.features.patches import grouped_filters, owners, patches
from wrs_mm.features.span import SeenPatches
from wrs_mm.openmmlab.synthetic import quiet
from wrs_mm.probe.subject import Subject
from wrs_mm.regularizers import apply_regularizer
from wrs_mm.rescaling import RuledSteps, ScaleInvariantDecay, WeightProjection, WeightRescaler
from wrs_mm.rescaling.step_rules import ScaledRate
from wrs_mm.values import type_name


@dataclass(frozen=True)
class WatchedLayer:
    """What became of a layer in a training.

    Attributes:
        name: Of its weight.
        filters: The weight before each update and after the last, each ``(groups, filters, size)``.
        factors: At the same times, ``(groups, filters)`` what is predicted for the part of each filter that
            no patch reaches, as a multiple of what it was; None where nothing is.
        seen: The patches of all updates.
        ranks: After some of the updates, how many patches were seen and their rank, the mean over groups.
    """

    name: str
    filters: list[Tensor]
    factors: list[Tensor] | None
    seen: SeenPatches
    ranks: list[tuple[int, float]]


def train_arm(
    subject: Subject,
    recipe: Config,
    arm: str,
    layers: Sequence[str],
    updates: int,
    lr: float | None = None,
    rank_after: Sequence[int] = (),
    progress: Callable[[int], None] = lambda updates: None,
) -> tuple[list[WatchedLayer], nn.Module]:
    """Train a copy of a network with the recipe's optimizer at a constant learning rate.

    Args:
        subject: The network and its batches, one an update.
        recipe: Its config.
        arm: A regularizer.
        layers: Names of the weights to watch.
        updates: How many.
        lr: In place of the recipe's.
        rank_after: Numbers of updates after which to take down ranks.
        progress: Told how many updates were made.

    Returns:
        The layers, and the trained model.

    Raises:
        OptionError: The arm does not go with the recipe, or has other layers than it.
        NotFiniteError: A loss is not finite.
    """
    subject = subject.copy()
    model = subject.model
    wrapper = _wrapper(model, recipe, arm, lr)
    method = getattr(wrapper, "method", None)
    watches = [_Watch(name, model, torch.finfo(subject.dtype).eps) for name in layers]

    def after_step(optimizer: Optimizer, *_: Any) -> None:
        groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        for watch in watches:
            watch.stepped(groups[id(watch.weight)], optimizer, method)

    wrapper.optimizer.register_step_post_hook(after_step)
    try:
        for number in range(updates):
            with quiet(), wrapper.optim_context(model):
                loss = subject.loss(number, seed=number)
            wrapper.update_params(loss)
            for watch in watches:
                watch.updated(method)
                if number + 1 in rank_after:
                    watch.ranks.append((watch.seen.count, watch.seen.rank()))
            progress(1)
    finally:
        for watch in watches:
            watch.close()
    return [watch.taken() for watch in watches], model


def arm_of(recipe: Config, arm: str) -> Config:
    """An arm that trains the recipe's own layers.

    Raises:
        OptionError: It does not go with the recipe, or has other layers than it.
    """
    config = apply_regularizer(recipe, arm)
    if config.get("model") != recipe.get("model"):
        raise OptionError(
            f"the arm {arm} trains other layers than the recipe, and cannot be probed beside it"
        )
    return config


def _wrapper(model: nn.Module, recipe: Config, arm: str, lr: float | None) -> Any:
    settings = copy.deepcopy(arm_of(recipe, arm).optim_wrapper)
    # In float64 there is nothing to scale; one batch an update.
    kind = type_name(settings.get("type", "OptimWrapper"))
    settings["type"] = kind.removeprefix("Amp")
    for key in ("loss_scale", "dtype", "accumulative_counts"):
        settings.pop(key, None)
    if lr is not None:
        settings.optimizer.lr = lr
    with DefaultScope.overwrite_default_scope(recipe.get("default_scope")), quiet():
        return build_optim_wrapper(model, settings)


class _Watch:
    """Watches one layer."""

    def __init__(self, name: str, model: nn.Module, rounding: float) -> None:
        self.name = name
        self.weight = model.get_parameter(name)
        self.seen = SeenPatches(rounding)
        self.ranks: list[tuple[int, float]] = []
        self._modules = owners(model, name)
        self._handles = [module.register_forward_pre_hook(self._look) for module in self._modules]
        self._filters = [self._current()]
        self._known = True
        self._part = torch.ones(self._filters[0].shape[:2], dtype=torch.float64)
        self._buffer: Tensor | None = None
        self._norms: Tensor | None = None
        self._factors = [self._part]

    def _look(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        self.seen.add(patches(module, args[0].detach()))

    def _current(self) -> Tensor:
        return grouped_filters(self._modules[0], self.weight.detach()).double().clone()

    def stepped(self, group: Mapping[str, Any], optimizer: Optimizer, method: Any) -> None:
        """The optimizer has made its step: what of it reaches the part outside."""
        self._norms = self._current().norm(dim=-1)
        if type(optimizer) is not SGD:
            self._known = False
        elif isinstance(method, RuledSteps):
            # Of the rules only this one leaves what the optimizer does not move.
            self._known &= isinstance(method.rule, ScaledRate) and not group["weight_decay"]
        elif method is None or isinstance(method, (ScaleInvariantDecay, WeightRescaler, WeightProjection)):
            self._decay(group)
        else:
            self._known = False

    def _decay(self, group: Mapping[str, Any]) -> None:
        """SGD on the part outside, whose gradient is that of weight decay alone."""
        update, momentum = group["weight_decay"] * self._part, group["momentum"]
        if momentum:
            first = self._buffer is None
            kept = update if first else momentum * self._buffer + (1 - group["dampening"]) * update
            self._buffer = kept
            update = update + momentum * kept if group["nesterov"] else kept
        self._part = self._part - group["lr"] * update

    def updated(self, method: Any) -> None:
        """The update is over: what the method multiplied filters by, it multiplied this part by."""
        self._filters.append(self._current())
        if isinstance(method, (WeightRescaler, WeightProjection)) and self._norms is not None:
            factor = self._filters[-1].norm(dim=-1) / self._norms
            self._part = self._part * factor.where(self._norms > 0, 1.0)
        self._norms = None
        self._factors.append(self._part)

    def close(self) -> None:
        """Leave the model alone."""
        for handle in self._handles:
            handle.remove()

    def taken(self) -> WatchedLayer:
        """What was seen."""
        factors = self._factors if self._known else None
        return WatchedLayer(self.name, self._filters, factors, self.seen, self.ranks)
