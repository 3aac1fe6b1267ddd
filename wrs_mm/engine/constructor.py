"""The optimizer wrapper constructor that knows ``scale_invariant_decay_mult``."""

from __future__ import annotations

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from wrs_mm.engine.optim_wrapper import ScaleInvariance, other_decay
from wrs_mm.errors import OptionError
from wrs_mm.rescaling.optimizer import add_partner_groups

KEY = "scale_invariant_decay_mult"


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class ScaleInvariantOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's default constructor, with weight decay of scale-invariant weights apart.

    ``paramwise_cfg`` keeps all keys of mmengine's and gains ``scale_invariant_decay_mult``, a sibling of
    ``norm_decay_mult``: the factor on the weight decay of scale-invariant weights. It comes on top of the
    other factors. Where it is not given it is the wrapper's: 0 with WRS, else 1.

    Parameters with equal settings share one group, so that multi-tensor optimizers can fuse them (mmengine
    makes one group a parameter).

    Raises:
        OptionError: The factor is no number ≥ 0, or the wrapper does not know scale-invariant weights.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        paramwise_cfg = dict(paramwise_cfg or {})
        self.scale_invariant_decay_mult = paramwise_cfg.pop(KEY, None)
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        mult = self.scale_invariant_decay_mult
        if mult is not None and (isinstance(mult, bool) or not isinstance(mult, (int, float)) or mult < 0):
            raise OptionError(f"paramwise_cfg: {KEY} must be a number ≥ 0, not {mult!r}")

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper, with its optimizer, for the model's parameters."""
        if hasattr(model, "module"):
            model = model.module
        wrapper_cfg = dict(self.optim_wrapper_cfg)
        wrapper_cfg.setdefault("type", "ScaleInvariantOptimWrapper")
        wrapper_class = wrapper_cfg["type"]
        if isinstance(wrapper_class, str):
            wrapper_class = OPTIM_WRAPPERS.get(wrapper_class)
        if wrapper_class is None or not issubclass(wrapper_class, ScaleInvariance):
            raise OptionError(
                f"{type(self).__name__} needs type='WRSOptimWrapper' or 'ScaleInvariantOptimWrapper' in "
                f"optim_wrapper, not {wrapper_cfg['type']!r}"
            )
        groups = merge_groups(self._one_group_each(model))
        optimizer = OPTIMIZERS.build({**self.optimizer_cfg, "params": groups})
        if not other_decay(wrapper_cfg.get("wrs")):
            for group in optimizer.param_groups:
                group["weight_decay"] = 0.0
        mult = self.scale_invariant_decay_mult
        mult = wrapper_class.default_decay_mult if mult is None else float(mult)
        # Before the wrapper is built: it asks how many groups there are.
        add_partner_groups(optimizer, mult)
        wrapper = OPTIM_WRAPPERS.build(wrapper_cfg, default_args={"optimizer": optimizer})
        wrapper.attach(model, mult)
        return wrapper

    def _one_group_each(self, model: nn.Module) -> list[dict[str, Any]]:
        if not self.paramwise_cfg:
            return [{"params": [parameter]} for parameter in model.parameters()]
        groups: list[dict[str, Any]] = []
        self.add_params(groups, model)
        return groups


def merge_groups(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join groups whose settings are equal, in the order in which settings first come up."""
    merged: list[dict[str, Any]] = []
    for group in groups:
        settings = {key: value for key, value in group.items() if key != "params"}
        for known in merged:
            if settings == {key: value for key, value in known.items() if key != "params"}:
                known["params"].extend(group["params"])
                break
        else:
            merged.append({**settings, "params": list(group["params"])})
    return merged
