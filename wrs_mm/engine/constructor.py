"""The optimizer wrapper constructor that knows the weight decay of scale-invariant weights."""

from __future__ import annotations

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn
from torch.optim import Optimizer

from wrs_mm.engine.base_constructor import build_base_optimizer
from wrs_mm.engine.optim_wrapper import MethodOptimWrapper
from wrs_mm.errors import OptionError
from wrs_mm.rescaling.partner_groups import add_partner_groups
from wrs_mm.values import is_number

DECAY_MULT = "scale_invariant_decay_mult"
"""The key of ``paramwise_cfg`` for the factor on the weight decay of the selected weights."""

OTHER_DECAY_MULT = "other_decay_mult"
"""The key for the factor on that of all other parameters."""

_READ = frozenset(
    "custom_keys bias_lr_mult bias_decay_mult norm_decay_mult dwconv_decay_mult flat_decay_mult "
    "dcn_offset_lr_mult bypass_duplicate".split()
)
"""The keys of ``paramwise_cfg`` that mmengine's default constructor reads; it passes over all others."""

BASE_CONSTRUCTOR = "base_constructor"
"""The key of ``optim_wrapper`` for a recipe's own constructor, which goes on making the groups."""


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class ScaleInvariantOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's default constructor, with weight decay of scale-invariant weights apart.

    ``paramwise_cfg`` keeps all keys of mmengine's and gains two siblings of ``norm_decay_mult``, numbers ≥ 0
    that come on top of the other factors:

    * ``scale_invariant_decay_mult``, the factor on the weight decay of the selected scale-invariant weights;
      where it is not given it is the wrapper's: 0 with WRS whose targets are constant, else 1;
    * ``other_decay_mult``, the factor on that of all other parameters, 1 where it is not given.

    Parameters with equal factors share one group, so that multi-tensor optimizers can fuse them (with a
    ``paramwise_cfg``, mmengine makes one group a parameter).

    With ``base_constructor``, a key of ``optim_wrapper`` beside ``constructor``, another constructor
    reads the rest of ``paramwise_cfg`` and makes the optimizer; its groups stay as it makes them, but for the
    two factors.

    Raises:
        OptionError: A factor is no number ≥ 0, the wrapper does not know scale-invariant weights, the base
            constructor does not exist or makes more than an optimizer, or ``paramwise_cfg`` has keys that
            nobody would read.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        optim_wrapper_cfg = dict(optim_wrapper_cfg)
        self.base_constructor = optim_wrapper_cfg.pop(BASE_CONSTRUCTOR, None)
        paramwise_cfg = dict(paramwise_cfg or {})
        self.decay_mult = paramwise_cfg.pop(DECAY_MULT, None)
        self.other_decay_mult = paramwise_cfg.pop(OTHER_DECAY_MULT, 1.0)
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        for key, mult in ((DECAY_MULT, self.decay_mult), (OTHER_DECAY_MULT, self.other_decay_mult)):
            if not (is_number(mult) and mult >= 0) and (key, mult) != (DECAY_MULT, None):
                raise OptionError(f"paramwise_cfg: {key} must be a number ≥ 0, not {mult!r}")
        unread = [key for key in self.paramwise_cfg if key not in _READ and not str(key).startswith("_")]
        if unread and self.base_constructor is None:
            # A config that takes ours in place of a layer-decay constructor would lose its learning rates.
            raise OptionError(
                f"paramwise_cfg has {', '.join(unread)}, for another constructor: name that one too, by "
                "base_constructor='…' beside constructor in optim_wrapper"
            )

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper, with its optimizer, for the model's parameters."""
        if hasattr(model, "module"):
            model = model.module
        wrapper_cfg = dict(self.optim_wrapper_cfg)
        wrapper_cfg.setdefault("type", "ScaleInvariantOptimWrapper")
        wrapper_class = wrapper_cfg["type"]
        if isinstance(wrapper_class, str):
            wrapper_class = OPTIM_WRAPPERS.get(wrapper_class)
        if wrapper_class is None or not issubclass(wrapper_class, MethodOptimWrapper):
            raise OptionError(
                f"{type(self).__name__} needs type='WRSOptimWrapper' or 'ScaleInvariantOptimWrapper' in "
                f"optim_wrapper, not {wrapper_cfg['type']!r}"
            )
        optimizer = self._build_optimizer(model, wrapper_cfg)
        mult = self.decay_mult
        mult = wrapper_class.default_decay_mult(wrapper_cfg) if mult is None else float(mult)
        add_partner_groups(optimizer, mult, float(self.other_decay_mult))
        given = {"optimizer": optimizer, "model": model, "decay_mult": mult}
        return OPTIM_WRAPPERS.build(wrapper_cfg, default_args=given)

    def _build_optimizer(self, model: nn.Module, wrapper_cfg: dict[str, Any]) -> Optimizer:
        if self.base_constructor is None:
            groups = _merge_groups(self._one_group_each(model))
            return OPTIMIZERS.build({**self.optimizer_cfg, "params": groups})
        # Without our own keys, a recipe that had none has none again: constructors tell {} from None.
        paramwise = self.paramwise_cfg or None
        return build_base_optimizer(self.base_constructor, model, self.optimizer_cfg, paramwise, wrapper_cfg)

    def _one_group_each(self, model: nn.Module) -> list[dict[str, Any]]:
        if not self.paramwise_cfg:
            return [{"params": [parameter]} for parameter in model.parameters()]
        groups: list[dict[str, Any]] = []
        self.add_params(groups, model)
        return groups


def _merge_groups(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join groups that are equal but for their parameters, in the order in which they first come up."""
    merged: list[dict[str, Any]] = []
    for group in groups:
        values = {key: value for key, value in group.items() if key != "params"}
        for known in merged:
            if values == {key: value for key, value in known.items() if key != "params"}:
                known["params"].extend(group["params"])
                break
        else:
            merged.append({**values, "params": list(group["params"])})
    return merged
