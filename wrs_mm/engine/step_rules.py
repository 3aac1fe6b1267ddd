"""The step rules that a config can name, and the optimizer wrappers that act by them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from mmengine.optim import AmpOptimWrapper
from mmengine.registry import OPTIM_WRAPPERS, Registry
from torch import nn
from torch.optim import Optimizer

from wrs_mm.engine.optim_wrapper import MethodOptimWrapper, NeedsGPU, given_model
from wrs_mm.errors import OptionError
from wrs_mm.rescaling import RescaleOptions
from wrs_mm.rescaling.projection import WeightProjection
from wrs_mm.rescaling.ruled_steps import RuledSteps
from wrs_mm.rescaling.step_rule import StepRule
from wrs_mm.rescaling.step_rules import Hyperball, Rotational, ScaledRate, Shifted
from wrs_mm.values import did_you_mean

STEP_RULES = Registry("step rule", scope="wrs_mm", locations=["wrs_mm.engine.step_rules"])
"""Subclasses of :class:`~wrs_mm.rescaling.StepRule` by name; one's own is registered here, or named by its
import path."""

for _rule in (Hyperball, Rotational, ScaledRate, Shifted):
    STEP_RULES.register_module(module=_rule)


def build_rule(config: object) -> StepRule:
    """The step rule that a config describes.

    Args:
        config: ``dict(type=…)`` with the rule's options; the type is a registered name, an import path or the
            class itself.

    Raises:
        OptionError: There is no such rule, or an option's name or value is wrong.
    """
    if not isinstance(config, Mapping) or "type" not in config:
        raise OptionError(f"rule must be dict(type=…, …) in optim_wrapper, not {config!r}")
    rule = _rule_class(config["type"])
    options = {key: value for key, value in config.items() if key != "type"}
    parameters = inspect.signature(rule).parameters
    for name in options:
        if name not in parameters:
            has = f"its options are {', '.join(parameters)}" if parameters else "it has none"
            raise OptionError(f"{rule.__name__} has no option {name!r}; {has}", name)
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in options:
            raise OptionError(f"{rule.__name__} needs the option {name!r}", name)
    return rule(**options)


def _rule_class(kind: object) -> type[StepRule]:
    found = STEP_RULES.get(kind) if isinstance(kind, str) else kind
    if not (inspect.isclass(found) and issubclass(found, StepRule)):
        known = STEP_RULES.module_dict
        hint = did_you_mean(str(kind), known) or f"; there are {', '.join(known)}"
        raise OptionError(f"there is no step rule {kind!r}{hint} (one of your own: package.module.Class)")
    return found


@OPTIM_WRAPPERS.register_module()
class StepRuleOptimWrapper(MethodOptimWrapper):
    """OptimWrapper with a step rule around each update of the optimizer.

    Args:
        optimizer: The optimizer.
        model: The model that trains; from the constructor, as is ``decay_mult``.
        decay_mult: Factor on the weight decay of its scale-invariant weights.
        rule: ``dict(type=…)`` with the rule's options, see :func:`build_rule`.
        scale_invariance: ``frozen_bn`` of :class:`~wrs_mm.rescaling.RescaleOptions`.
        **kwargs: The OptimWrapper's own arguments.

    Raises:
        OptionError: The constructor is another, there is no such rule, an option is wrong, or the rule does
            not go with the optimizer.
        ModelError: The model is sharded.
    """

    @classmethod
    def default_decay_mult(cls, config: Mapping[str, Any]) -> float:
        """The rule's."""
        return build_rule(config.get("rule")).decay_mult

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        model: nn.Module | None = None,
        decay_mult: float | None = None,
        rule: Mapping[str, Any] | None = None,
        scale_invariance: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        options = RescaleOptions.from_dict(scale_invariance or {}, "scale_invariance", ("frozen_bn",))
        method = RuledSteps(
            given_model(model, type(self)),
            optimizer,
            build_rule(rule),
            frozen_bn=options.frozen_bn,
            decay_mult=decay_mult,
        )
        super().__init__(method, optimizer=optimizer, **kwargs)


@OPTIM_WRAPPERS.register_module()
class PBWNOptimWrapper(MethodOptimWrapper):
    """OptimWrapper with projection-based weight normalization every few updates of the optimizer.

    Args:
        optimizer: The optimizer.
        model: The model that trains; from the constructor, as is ``decay_mult``.
        decay_mult: Factor on the weight decay of its scale-invariant weights.
        pbwn: Options of :class:`~wrs_mm.rescaling.projection.WeightProjection`: ``interval``, ``frozen_bn``,
            ``min_norm``.
        **kwargs: The OptimWrapper's own arguments.

    Raises:
        OptionError: The constructor is another, an option is unknown, or a value out of its range.
        ModelError: The model is sharded.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        model: nn.Module | None = None,
        decay_mult: float | None = None,
        pbwn: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        given = pbwn or {}
        options = RescaleOptions.from_dict(given, "pbwn", ("interval", "frozen_bn", "min_norm"))
        chosen = {name: getattr(options, name) for name in given}
        method = WeightProjection(given_model(model, type(self)), optimizer, decay_mult=decay_mult, **chosen)
        super().__init__(method, optimizer=optimizer, **kwargs)


@OPTIM_WRAPPERS.register_module()
class AmpStepRuleOptimWrapper(NeedsGPU, StepRuleOptimWrapper, AmpOptimWrapper):
    """:class:`StepRuleOptimWrapper` in mixed precision."""


@OPTIM_WRAPPERS.register_module()
class AmpPBWNOptimWrapper(NeedsGPU, PBWNOptimWrapper, AmpOptimWrapper):
    """:class:`PBWNOptimWrapper` in mixed precision."""
