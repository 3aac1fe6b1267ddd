"""Step rules and the projection on a real detector and segmentor, by their arms: what defines each."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from arms import load
from mmengine.optim import build_optim_wrapper
from torch import Tensor, nn

from wrs_mm.borrowed import seeded
from wrs_mm.openmmlab.synthetic import build_model, random_batch
from wrs_mm.regularizers import apply_regularizer
from wrs_mm.rescaling.functional import filter_norms
from wrs_mm.rescaling.step_rule import RuledWeight
from wrs_mm.rescaling.step_rules import Hyperball, ScaledRate

RECIPES = ("retinanet_r18-narrow_fpn_mini-coco", "pspnet_r18-narrow_mini-cityscapes")
LR = 0.02

pytestmark = pytest.mark.parametrize("recipe", RECIPES)


def built(recipe: str, arm: str, **options: Any) -> tuple[nn.Module, Any]:
    config = apply_regularizer(load("mini", recipe), arm, lr=LR, **options)
    model = build_model(config)
    return model, build_optim_wrapper(model, copy.deepcopy(config.optim_wrapper))


def train(model: nn.Module, wrapper: Any, updates: int = 3) -> None:
    with seeded(1):
        for number in range(updates):
            losses = model.train_step(random_batch(model, size=(64, 64), seed=number), wrapper)
            assert math.isfinite(float(losses["loss"]))


def test_hyperball_keeps_every_norm_and_every_update_is_the_rate_times_it(
    recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, wrapper = built(recipe, "hyperball")
    moves: list[tuple[Tensor, Tensor, Tensor]] = []
    move = Hyperball.move

    def kept(self: Hyperball, old: Tensor, update: Tensor, *rest: Any) -> Tensor:
        before, direction = old.clone(), update.clone()
        new = move(self, old, update, *rest)
        moves.append((before, direction, new.clone()))
        return new

    monkeypatch.setattr(Hyperball, "move", kept)
    train(model, wrapper)
    selected = wrapper.method.invariant_weights.selected
    assert len(moves) == 3 * len(selected) > 40
    for before, direction, new in moves:
        before, direction, new = before.double(), direction.double(), new.double()
        if not bool(direction.any()):  # a branch that begins with a BN of γ = 0
            torch.testing.assert_close(new, before, rtol=1e-6, atol=1e-8)
            continue
        assert float(new.norm() / before.norm()) == pytest.approx(1, abs=1e-6)
        # What was projected: the point of the ray through the new weight that lies η R from the old one,
        # in the direction of the optimizer's update.
        step = LR * before.norm() * direction / direction.norm()
        moved = before + step
        assert float(step.norm() / before.norm()) == pytest.approx(LR, rel=1e-9)
        torch.testing.assert_close(new / new.norm(), moved / moved.norm(), rtol=1e-3, atol=1e-6)


def test_rotational_keeps_every_filters_norm_and_turns_about_as_far_as_it_says(recipe: str) -> None:
    model, wrapper = built(recipe, "rotational", weight_decay=0.01)
    weights = dict(model.named_parameters())
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    train(model, wrapper, 1)
    momentum = wrapper.optimizer.param_groups[0]["momentum"]
    angle = math.sqrt(2 * LR * 0.01 / (1 + momentum))
    turns = []
    for verdict in wrapper.method.invariant_weights.selected:
        old, new = (w.detach().double().flatten(1) for w in (before[verdict.name], weights[verdict.name]))
        torch.testing.assert_close(new.norm(dim=1), old.norm(dim=1), rtol=1e-5, atol=0)
        turns.append((new - old).norm(dim=1) / old.norm(dim=1) / angle)
    # The first update's root mean square is its own norm, so that each filter turns by the whole angle; but
    # for those with next to no gradient, as in branches that begin with a BN of γ = 0.
    turn = torch.cat(turns)
    whole, none = turn > 0.98, turn < 1e-6
    assert float(turn.max()) < 1.001 and float((whole | none).double().mean()) > 0.95
    assert float(whole.double().mean()) > 0.3


def test_the_projection_leaves_classifiers_and_nothing_else_of_the_convolutions(recipe: str) -> None:
    model, wrapper = built(recipe, "pbwn", interval=1)
    train(model, wrapper)
    left = {
        name
        for name, p in model.named_parameters()
        if p.dim() == 4 and not torch.allclose(filter_norms(p), torch.ones(1), atol=1e-5)
    }
    if "pspnet" in recipe:
        assert left == {"decode_head.conv_seg.weight", "auxiliary_head.conv_seg.weight"} & set(
            dict(model.named_parameters())
        )
    else:
        assert left == {"bbox_head.retina_cls.weight", "bbox_head.retina_reg.weight"}


def test_scale_lr_multiplies_each_filters_update_by_the_square_of_how_far_its_norm_has_grown(
    recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, wrapper = built(recipe, "scale_lr")
    start = {name: filter_norms(w).double() for name, w in model.named_parameters() if w.dim() == 4}
    moves: list[tuple[str, Tensor, Tensor, Tensor]] = []
    move = ScaledRate.move

    def kept(self: ScaledRate, old: Tensor, update: Tensor, weight: RuledWeight, *rest: Any) -> Tensor:
        before, direction = old.double(), update.double()
        new = move(self, old, update, weight, *rest)
        moves.append((weight.name, before, direction, new.double()))
        return new

    train(model, wrapper, 1)
    with torch.no_grad():
        for weight in wrapper.method.invariant_weights.selected_parameters:
            weight *= 2
    monkeypatch.setattr(ScaledRate, "move", kept)
    train(model, wrapper, 2)
    assert len(moves) == 2 * len(wrapper.method.invariant_weights.selected) > 40
    for name, before, update, new in moves:
        growth = before.flatten(1).norm(dim=1) / start[name]
        assert float(growth.min()) > 1.9
        expected = growth.square().view(-1, 1, 1, 1) * update
        torch.testing.assert_close(new - before, expected, rtol=1e-3, atol=1e-6)


def test_without_a_gradient_shifted_takes_each_norm_towards_epsilon_as_its_equation_says(recipe: str) -> None:
    decay, epsilon = 0.5, 0.25
    model, wrapper = built(recipe, "shifted", weight_decay=decay, epsilon=epsilon)
    train(model, wrapper, 1)
    weights = dict(model.named_parameters())
    wrapper.optimizer.state.clear()  # no momentum is left
    for weight in weights.values():
        weight.grad = torch.zeros_like(weight)
    names = [verdict.name for verdict in wrapper.method.invariant_weights.selected]
    before = {name: filter_norms(weights[name]).double() for name in names}
    wrapper.optimizer.step()
    assert len(names) > 10
    for name in names:
        expected = before[name] - LR * decay * (before[name] - epsilon)
        torch.testing.assert_close(filter_norms(weights[name]).double(), expected, rtol=1e-5, atol=0)
