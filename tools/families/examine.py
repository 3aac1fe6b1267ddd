"""What is done with one configuration: its verdicts held against brute force, and two steps of training."""

from __future__ import annotations

import math
import traceback
from typing import TYPE_CHECKING, Any

from language import use_stand_in

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.optim import OptimWrapper
    from torch import nn

SIZES = (64, 128, 256, 512)
REGIONS = 32
STEPS = 2
WARM_UP = 1e-3
"""Of the recipe's learning rate: where most recipes begin, and as much as random weights bear."""

EMPTY = {False: "objects", "first": "one empty image", "all": "no object"}


def verdicts(name: str) -> dict[str, Any]:
    """The verdicts on a model's weights against brute force, with BN as configured and with BN trained."""
    from torch.nn.modules.batchnorm import _BatchNorm

    from wrs_mm.audit.verdicts import audit_model
    from wrs_mm.openmmlab.synthetic import random_batch

    model, size = _built(_read(name))
    batches = {what: random_batch(model, size=size, empty=empty) for empty, what in EMPTY.items()}
    folded = audit_model(model, batches["objects"], frozen_bn="fold")
    result = {"weights": len(folded), "fold": sum(v.selected for v in folded)}
    result["recipe"] = _compare(model, batches)
    frozen = [m for m in model.modules() if isinstance(m, _BatchNorm) and not m.training]
    if frozen:
        for module in frozen:
            module.train()
            # mmdet's NAS-FCOS has an ε of 0, as its frozen statistics allow.
            module.eps = module.eps or 1e-5
        result["trained"] = _compare(model, batches)
    return result


def training(name: str) -> dict[str, Any]:
    """Two steps of training with the recipe's optimizer and WRS, and an evaluation.

    Raises:
        AssertionError: A loss is not finite, a filter has another norm than it began with, or the evaluation
            has no result for an image.
    """
    from mmengine.registry import DefaultScope

    config = _read(name)
    # As a Runner does: a toolbox's own constructors are looked up in it.
    with DefaultScope.overwrite_default_scope(config.default_scope):
        return _trained(config)


def _trained(config: Config) -> dict[str, Any]:
    import torch
    from mmengine.optim import build_optim_wrapper

    from wrs_mm.errors import ModelError
    from wrs_mm.openmmlab.synthetic import random_batch
    from wrs_mm.regularizers import apply_regularizer

    if config.get("optim_wrapper") is None:
        raise ValueError("its config trains nothing: it names no optimizer")
    _in_full_precision(config)
    config.optim_wrapper.optimizer.lr *= WARM_UP
    arm = apply_regularizer(config, "wrs", frozen_bn="fold", target="init")
    model, size = _built(config)
    batches = [random_batch(model, size=size, seed=seed) for seed in range(STEPS)]
    _settle_statistics(model, batches[0])
    wrapper = build_optim_wrapper(model, arm.optim_wrapper)
    rescaled: int | None = None
    try:
        losses = [_step(model, wrapper, batch) for batch in batches]
        rescaled = _check_norms(wrapper)
    except ModelError:  # nothing is scale-invariant: there it trains as the recipe says
        wrapper = build_optim_wrapper(model, config.optim_wrapper)
        losses = [_step(model, wrapper, batch) for batch in batches]
    assert all(map(math.isfinite, losses)), f"the losses are {losses}"
    model.eval()
    with torch.no_grad():
        # One at a time, as the toolboxes evaluate: guided anchoring takes no more.
        images = [random_batch(model, batch_size=1, size=size, seed=i, evaluation=True) for i in range(2)]
        predictions = [model.val_step(image) for image in images]
    assert [len(its) for its in predictions] == [1, 1], "an image has no prediction"
    return {"rescaled": rescaled, "losses": losses}


PARTS = {"verdicts": verdicts, "training": training}
"""What is asked of each configuration, by the name that its answer has."""


def _read(name: str) -> Config:
    from wrs_mm.openmmlab.configs import load_config

    config = load_config(name)
    _cut_regions(config.model)
    use_stand_in(config.model)
    return config


def _built(config: Config) -> tuple[nn.Module, tuple[int, int]]:
    """The model with random weights, and the smallest size of image that it trains on."""
    from wrs_mm.openmmlab.synthetic import build_model, smallest_size

    model = build_model(config)
    return model, smallest_size(model, sizes=SIZES)


def _cut_regions(node: Any) -> None:
    """Let second stages sample fewer regions, in place: 512 an image take minutes and say no more."""
    if isinstance(node, dict):
        if "Sampler" in str(node.get("type")) and isinstance(node.get("num"), int):
            node["num"] = min(node["num"], REGIONS)
        for key, value in node.items():
            # Not the queries of QueryInst, which it gives out as they are.
            if key in ("nms_pre", "max_per_img") and isinstance(value, int) and "nms_pre" in node:
                node[key] = min(value, 2 * REGIONS)
            _cut_regions(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _cut_regions(value)


def _in_full_precision(config: Config) -> None:
    """Take mixed precision out, in place: it needs a GPU."""
    config.optim_wrapper.type = str(config.optim_wrapper.get("type", "OptimWrapper")).replace("Amp", "")
    for key in ("loss_scale", "dtype", "use_fsdp"):
        config.optim_wrapper.pop(key, None)


def _settle_statistics(model: nn.Module, batch: dict[str, Any]) -> None:
    """Give frozen BNs the statistics of a batch, as they fit pretrained weights: random weights explode."""
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    from wrs_mm.openmmlab.synthetic import train_loss

    frozen = [module for module in model.modules() if isinstance(module, _BatchNorm) and not module.training]
    momenta = [module.momentum for module in frozen]
    for module in frozen:
        module.train()
        module.momentum = 1.0
    with torch.no_grad():
        train_loss(model, batch, seed=0)
    for module, momentum in zip(frozen, momenta, strict=True):
        module.eval()
        module.momentum = momentum


def _step(model: nn.Module, wrapper: OptimWrapper, batch: dict[str, Any]) -> float:
    """One step of training, as a Runner makes it, and its loss."""
    import copy

    from wrs_mm.borrowed import seeded

    with seeded(0):
        return float(model.train_step(copy.deepcopy(batch), wrapper)["loss"])


def _check_norms(wrapper: OptimWrapper) -> int:
    """Check that rescaled filters have the norms that they began with; how many weights there are.

    Filters that WRS leaves alone on purpose (dead, not finite, not to be folded) may have others.
    """
    import torch

    from wrs_mm.rescaling.functional import filter_norms

    method = wrapper.method
    parameters = dict(method.invariant_weights.model.named_parameters())
    others = 0
    for verdict in method.rescaled:
        norms = filter_norms(parameters[verdict.name], verdict.transposed_groups)
        others += int((~torch.isclose(norms, method.targets[verdict.name], rtol=1e-5, atol=0)).sum())
    assert others <= sum(method.skipped.values()), f"{others} filters were not rescaled"
    return len(method.rescaled)


def _has_loss(model: nn.Module, batch: dict[str, Any]) -> bool:
    """Whether the model itself can train on a batch: some fail where there is no object."""
    from wrs_mm.openmmlab.synthetic import train_loss

    try:
        train_loss(model, batch, seed=0)
    except Exception:  # whatever a model raises is its own affair
        traceback.print_exc()
        return False
    return True


def _compare(model: nn.Module, batches: dict[str, Any]) -> dict[str, Any]:
    """Verdicts against brute force, and the verdicts with one batch against those with another."""
    from wrs_mm.audit.brute_force import verify
    from wrs_mm.audit.verdicts import audit_model

    found = audit_model(model, batches["objects"])
    differing, failing = [], []
    for what, batch in list(batches.items())[1:]:
        if not _has_loss(model, batch):
            failing.append(what)
            continue
        other = {v.name: v.scale_invariant for v in audit_model(model, batch)}
        if any(other[v.name] != v.scale_invariant for v in found):
            differing.append(what)
    proof = verify(model, batches["objects"], found, quick=True)
    changes = [proof.loss_change[v.name] or 0.0 for v in found if v.scale_invariant]
    print(*([v.name, v.scale_invariant, proof.loss_change[v.name], v.reason] for v in found), sep="\n")
    return {
        "invariant": sum(v.scale_invariant for v in found),
        "rescaled": sum(v.selected for v in found),
        "dtype": str(proof.dtype).removeprefix("torch."),
        "loss_change": max(changes, default=None),
        "affects_loss": sum(proof.affects_loss(v.name) for v in found),
        "disagreements": proof.disagreements(found),
        "differing": differing,
        "failing": failing,
    }
