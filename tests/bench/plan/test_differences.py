"""What differs between configs, and which of it an arm may change."""

from __future__ import annotations

import pytest

from wrs_mm.bench.plan.differences import MISSING, config_values, differing, undeclared

PLAIN = {"optim_wrapper.type": "OptimWrapper", "optim_wrapper.optimizer.lr": 0.1, "model.depth": 18}
WRS = {**PLAIN, "optim_wrapper.type": "WRSOptimWrapper", "optim_wrapper.wrs": {}}


def test_only_keys_that_are_read_count():
    content = {"base_lr": 0.1, "model": {"depth": 18, "stages": [1, 2]}, "optim_wrapper": {"type": dict}}
    assert config_values(content) == {"model.depth": 18, "model.stages": [1, 2], "optim_wrapper.type": "dict"}


def test_a_key_differs_where_its_value_or_its_presence_does():
    columns = [{"a": 1, "b": (1, 2), "c": True, "e": 0}, {"a": 1.0, "b": (1, 2), "c": 1, "d": None, "e": 0}]
    assert differing(columns) == {"c": [True, 1], "d": [MISSING, None]}


def test_an_arm_may_change_its_wrapper_and_decay_factors():
    arm = {
        **WRS,
        "optim_wrapper.constructor": "ScaleInvariantOptimWrapperConstructor",
        "optim_wrapper.wrs.interval": 2,
        "optim_wrapper.scale_invariance.frozen_bn": "fold",
        "optim_wrapper.paramwise_cfg.scale_invariant_decay_mult": 0.0,
        "optim_wrapper.paramwise_cfg.custom_keys.backbone.decay_mult": 0.0,
        "custom_imports.imports": ["wrs_mm"],
    }
    assert undeclared(arm, PLAIN, ["regularizer"]) == []
    layer_decay = {**PLAIN, "optim_wrapper.constructor": "LayerDecay"}
    assert (
        undeclared({**arm, "optim_wrapper.base_constructor": "LayerDecay"}, layer_decay, ["regularizer"])
        == []
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optim_wrapper.optimizer.lr", 0.2),
        ("optim_wrapper.optimizer.weight_decay", 0.0),
        ("optim_wrapper.clip_grad.max_norm", 1),
        ("optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult", 0.1),
        ("optim_wrapper.type", "AmpWRSOptimWrapper"),
        ("model.depth", 34),
        ("train_cfg.max_iters", 1),
    ],
)
def test_an_arm_may_change_nothing_else(key, value):
    assert undeclared({**WRS, key: value}, PLAIN, ["regularizer"]) == [key]


def test_optimizer_and_learning_rate_declare_their_own_keys():
    faster = {**PLAIN, "optim_wrapper.optimizer.lr": 0.2}
    assert undeclared(faster, PLAIN, ["learning_rate"]) == []
    adam = {**PLAIN, "optim_wrapper.optimizer.betas": [0.9, 0.99]}
    assert undeclared(adam, PLAIN, ["optimizer"]) == []
    assert undeclared(adam, PLAIN, ["learning_rate"]) == ["optim_wrapper.optimizer.betas"]
