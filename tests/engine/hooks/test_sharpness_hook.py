"""The hook in real Runners and on real models: it measures, changes nothing, and goes on after a stop.

With it measuring.py, which it shares with the hook of weight noise.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from toy_training import INVARIANT, Network, PlainNetwork, runner, wrapper_config

from wrs_mm.curvature import HessianProduct, SphereHessianProduct, largest_eigenvalue, twice_differentiable
from wrs_mm.engine.hooks import SharpnessHook
from wrs_mm.errors import OptionError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch, train_loss

HOOK = {"type": "SharpnessHook", "interval": 8, "batch_size": 6, "tolerance": 1e-4}
PLAIN = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9}}


def trained(folder: Path, *hooks: dict[str, Any], plain: bool = False, **more: Any) -> Runner:
    made = runner(folder, by_epoch=False, name=folder.name, custom_hooks=list(hooks), **more)
    if plain:
        made.optim_wrapper = PLAIN
    made.train()
    return made


def entries(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "sharpness.json").read_text())
    return found


@pytest.mark.parametrize("plain", [True, False])
def test_it_measures_and_changes_nothing(tmp_path: Path, plain: bool) -> None:
    without = trained(tmp_path / "without", plain=plain)
    made = trained(tmp_path / "with", HOOK, plain=plain)
    for name, expected in without.model.state_dict().items():
        assert torch.equal(expected, made.model.state_dict()[name]), name
    found = entries(tmp_path / "with")
    assert [entry["iteration"] for entry in found] == [0, 8, 16]
    assert all(entry["sharpness"] > 0 and entry["sphere"] > 0 for entry in found)
    assert all(entry["error"] <= 1e-4 * entry["sharpness"] for entry in found)


def test_the_numbers_are_those_of_its_batch_and_of_the_learning_rate(tmp_path: Path) -> None:
    made = trained(tmp_path, {**HOOK, "interval": 16})
    last = entries(tmp_path)[-1]
    (hook,) = (hook for hook in made.hooks if isinstance(hook, SharpnessHook))
    assert len(hook._batch["x"]) == 6
    made.model.train()
    torch.manual_seed(0)  # the dropout's
    loss = made.model(**hook._batch, mode="loss")["loss"]
    product = HessianProduct(loss, list(made.model.parameters()))
    columns = [product(unit) for unit in torch.eye(product.size)]
    expected = torch.linalg.eigvalsh(torch.stack(columns).double())[-1]
    assert last["sharpness"] == pytest.approx(float(expected), rel=1e-3)
    # The update was made with the learning rate before the scheduler's step.
    lr = 0.05 * (1 + math.cos(math.pi * 15 / 16)) / 2
    assert last["stable"] == pytest.approx((2 + 2 * 0.9) / lr)


def test_where_all_filters_have_one_norm_the_edge_on_the_sphere_goes_with_its_square(tmp_path: Path) -> None:
    made = runner(tmp_path, by_epoch=False, name="one norm", custom_hooks=[HOOK])
    made.optim_wrapper = ConfigDict(wrapper_config(wrs={"target": 2.0}))
    made.train()
    for entry in entries(tmp_path)[1:]:
        assert entry["sphere_stable"] == pytest.approx(4 * entry["stable"], rel=1e-5)


def test_the_edge_on_the_sphere_is_as_far_as_that_of_turns_at_the_norms_there_are(tmp_path: Path) -> None:
    made = trained(tmp_path, {**HOOK, "interval": 16}, plain=True)
    last = entries(tmp_path)[-1]
    (hook,) = (hook for hook in made.hooks if isinstance(hook, SharpnessHook))
    made.model.train()
    torch.manual_seed(0)  # the dropout's
    loss = made.model(**hook._batch, mode="loss")["loss"]
    weights = [(made.model.get_parameter(name), 0) for name in INVARIANT]
    norms = torch.cat([weight.detach().flatten(1).norm(dim=1) for weight, _ in weights])
    assert float(norms.max() / norms.min()) > 1.2
    turning = SphereHessianProduct(loss, weights, [1.0] * len(weights))
    columns = [turning(unit) for unit in torch.eye(turning.size)]
    expected = float(torch.linalg.eigvalsh(torch.stack(columns).double())[-1])
    assert last["sphere"] / last["sphere_stable"] == pytest.approx(expected / last["stable"], rel=1e-3)


def test_a_training_that_begins_anew_keeps_nothing_of_what_its_folder_holds(tmp_path: Path) -> None:
    trained(tmp_path / "own", HOOK, plain=True)
    (tmp_path / "used").mkdir()
    left = [{"iteration": iteration, "sharpness": -1.0} for iteration in (0, 8)]
    (tmp_path / "used" / "sharpness.json").write_text(json.dumps(left))
    trained(tmp_path / "used", HOOK, plain=True)
    assert entries(tmp_path / "used") == entries(tmp_path / "own")


def test_the_edge_on_the_sphere_goes_by_the_rate_that_a_rule_gives(tmp_path: Path) -> None:
    """``scale_lr`` multiplies updates by ``(‖w‖ / R)²``: the effective rate is η / R²."""
    made = runner(tmp_path, by_epoch=False, name="ruled", custom_hooks=[HOOK])
    made.optim_wrapper = ConfigDict(wrapper_config("StepRuleOptimWrapper", rule={"type": "ScaledRate"}))
    with torch.no_grad():
        for name in INVARIANT:
            weight = made.model.get_parameter(name)
            weight *= 2 / weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    made.train()
    for entry in entries(tmp_path)[1:]:
        assert entry["sphere_stable"] == pytest.approx(4 * entry["stable"], rel=1e-5)


class _StopAfter(Hook):
    def __init__(self, updates: int) -> None:
        self.updates = updates

    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        if runner.iter + 1 == self.updates:
            raise KeyboardInterrupt


def test_a_resumed_run_measures_what_an_uninterrupted_one_does(tmp_path: Path) -> None:
    trained(tmp_path / "whole", HOOK)
    stopped = runner(tmp_path / "parts", by_epoch=False, name="stopped", custom_hooks=[HOOK])
    stopped.register_hook(_StopAfter(9))
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    # Its last checkpoint is lost: what was measured after it is made again.
    load = {"load_from": str(tmp_path / "parts" / "iter_4.pth"), "resume": True}
    trained(tmp_path / "parts", HOOK, **load)
    assert entries(tmp_path / "parts") == entries(tmp_path / "whole")
    assert [entry["iteration"] for entry in entries(tmp_path / "parts")] == [0, 8, 16]


def test_without_batch_normalization_there_is_no_sphere_and_without_sgd_no_edge(tmp_path: Path) -> None:
    made = runner(tmp_path, by_epoch=False, name="none", custom_hooks=[HOOK])
    made.model = PlainNetwork()
    made.optim_wrapper = {"type": "OptimWrapper", "optimizer": {"type": "AdamW", "lr": 0.01}}
    made.train()
    first = entries(tmp_path)[0]
    assert first["sharpness"] > 0
    assert first["sphere"] is first["sphere_stable"] is first["stable"] is None


class _Overflowing(Network):
    """Its loss has a curvature beyond float32, and no gradient to speak of."""

    def forward(self, x: torch.Tensor, mode: str = "tensor") -> Any:
        y = super().forward(x)
        return {"loss": (1e30 * (y - y.detach())).square().mean()} if mode == "loss" else y


def test_a_curvature_that_is_not_finite_is_unknown_and_ends_nothing(tmp_path: Path) -> None:
    made = runner(tmp_path, by_epoch=False, name="overflow", custom_hooks=[HOOK])
    made.model = _Overflowing()
    made.optim_wrapper = PLAIN
    made.train()
    assert [entry["sharpness"] for entry in entries(tmp_path)] == [None] * 3


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"interval": 0}, "interval must be a whole number from 1, not 0"),
        ({"batch_size": 1}, "batch_size must be a whole number from 2, not 1"),
        ({"most_products": 1.5}, "most_products must be a whole number from 1, not 1.5"),
        ({"tolerance": 1}, "tolerance must be between 0 and 1, not 1"),
        ({"tolerance": "x"}, "tolerance must be between 0 and 1, not 'x'"),
        ({"seed": -1}, "seed must be a whole number from 0, not -1"),
    ],
)
def test_options_are_checked(option: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SharpnessHook(**option)


def model_and_loss(recipe: str) -> tuple[nn.Module, Any]:
    model = build_model(load_config(recipe)).double()
    batch = random_batch(model, size=(64, 64))
    batch["inputs"] = [image.double() for image in batch["inputs"]]
    return model, lambda: train_loss(model, batch, seed=0)


@pytest.mark.parametrize(
    "recipe", ["mini/retinanet_r18-narrow_fpn_mini-coco", "mini/pspnet_r18-narrow_mini-cityscapes"]
)
def test_products_of_real_models_are_differences_of_their_gradients(recipe: str) -> None:
    model, loss = model_and_loss(recipe)
    parameters = [p for p in model.parameters() if p.requires_grad]
    with torch.no_grad():  # where BN's last weights are 0, as at the start, ReLU has a kink in many places
        for parameter in parameters:
            parameter += 0.05 * torch.randn_like(parameter)
    product = HessianProduct(loss(), parameters)
    vector = torch.randn(product.size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    vector /= vector.norm()
    found = product(vector)

    def gradient(along: float) -> torch.Tensor:
        with torch.no_grad():
            for parameter, part in zip(parameters, product.split(vector), strict=True):
                parameter += along * part
        gradients = torch.autograd.grad(loss(), parameters)
        with torch.no_grad():
            for parameter, part in zip(parameters, product.split(vector), strict=True):
                parameter -= along * part
        return torch.cat([g.flatten() for g in gradients])

    step = 1e-7
    expected = (gradient(step) - gradient(-step)) / (2 * step)
    assert float((found - expected).norm() / expected.norm()) < 1e-3


def test_a_two_stage_detector_has_one_too() -> None:
    model, loss = model_and_loss("mini/faster-rcnn_r18-narrow_fpn_mini-coco")
    with twice_differentiable():
        product = HessianProduct(loss(), [p for p in model.parameters() if p.requires_grad])
    start = torch.randn(product.size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = largest_eigenvalue(product, start, tolerance=0.02)
    assert found.value > 0 and found.error <= 0.02 * found.value
