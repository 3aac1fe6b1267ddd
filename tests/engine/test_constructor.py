"""Parameter groups: few of them, with the weight decay that ``paramwise_cfg`` says."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import DefaultOptimWrapperConstructor, build_optim_wrapper
from toy_training import INVARIANT, Network, build, decay_by_name, filter_norms, step, wrapper_config

from wrs_mm import regularizers
from wrs_mm.engine import constructor
from wrs_mm.errors import OptionError


@pytest.mark.parametrize(("mult", "expected"), [(0.0, 0.0), (0.5, 0.005), (1.0, 0.01)])
def test_the_decay_of_scale_invariant_weights_is_a_factor_of_its_own(mult: float, expected: float) -> None:
    model = Network()
    paramwise = {"scale_invariant_decay_mult": mult, "norm_decay_mult": 0.0}
    wrapper = build(model, "ScaleInvariantOptimWrapper", paramwise_cfg=paramwise)
    before = filter_norms(model)
    step(model, wrapper)
    assert not torch.allclose(filter_norms(model), torch.ones(12), rtol=1e-3)
    assert before.shape == (12,)
    decay = decay_by_name(model, wrapper)
    assert all(decay[name] == pytest.approx(expected) for name in INVARIANT)
    assert decay["stem.1.weight"] == 0.0 and decay["head.weight"] == 0.01


def test_equal_settings_share_a_group() -> None:
    wrapper = build(Network(), paramwise_cfg={"norm_decay_mult": 0.0, "bias_lr_mult": 2.0})
    sizes = [len(group["params"]) for group in wrapper.optimizer.param_groups]
    assert len(sizes) == 6 and sizes[3:] == [0, 0, 0]


@pytest.mark.parametrize(
    ("kind", "mult", "other_mult", "expected"),
    [
        ("WRSOptimWrapper", None, 0, (0.0, 0.0)),
        ("WRSOptimWrapper", None, 0.5, (0.0, 0.005)),
        ("WRSOptimWrapper", 2, 0, (0.02, 0.0)),
        ("WRSOptimWrapper", 1, 0, (0.01, 0.0)),
        ("WRSOptimWrapper", 1, 1, (0.01, 0.01)),
        ("ScaleInvariantOptimWrapper", None, 0, (0.01, 0.0)),
        ("ScaleInvariantOptimWrapper", 0, 1, (0.0, 0.01)),
    ],
)
def test_the_decay_of_all_other_parameters_is_a_factor_too(
    kind: str, mult: float | None, other_mult: float, expected: tuple[float, float]
) -> None:
    model = Network()
    paramwise = {"other_decay_mult": other_mult}
    if mult is not None:
        paramwise["scale_invariant_decay_mult"] = mult
    wrapper = build(model, kind, paramwise_cfg=paramwise)
    step(model, wrapper)
    for name, decay in decay_by_name(model, wrapper).items():
        assert decay == pytest.approx(expected[0] if name in INVARIANT else expected[1]), name


def test_factors_come_on_top_of_mmengines() -> None:
    model = Network()
    wrapper = build(model, paramwise_cfg={"norm_decay_mult": 0.5, "other_decay_mult": 0.5})
    step(model, wrapper)
    decay = decay_by_name(model, wrapper)
    assert decay["stem.1.weight"] == pytest.approx(0.0025) and decay["head.weight"] == pytest.approx(0.005)


def test_the_arm_wrs_without_other_decay_switches_all_of_it_off() -> None:
    model = Network()
    plain = wrapper_config("OptimWrapper")
    del plain["constructor"]
    arm = regularizers.REGULARIZERS["wrs"](plain, other_decay=False)
    assert arm["paramwise_cfg"] == {"other_decay_mult": 0.0} and arm["wrs"] == {}
    wrapper = build_optim_wrapper(model, ConfigDict(arm))
    step(model, wrapper)
    assert set(decay_by_name(model, wrapper).values()) == {0.0}


@pytest.mark.parametrize("key", ["scale_invariant_decay_mult", "other_decay_mult"])
@pytest.mark.parametrize("value", [-1, True, "0", float("nan"), [0]])
def test_a_factor_that_is_no_number_from_0_up_is_refused(key: str, value: Any) -> None:
    with pytest.raises(OptionError, match=f"{key} must be a number ≥ 0"):
        build(Network(), paramwise_cfg={key: value})


def test_a_wrapper_that_knows_no_scale_invariant_weights_is_refused() -> None:
    with pytest.raises(OptionError, match="needs type='WRSOptimWrapper' or 'ScaleInvariantOptimWrapper'"):
        build(Network(), "OptimWrapper")


def test_keys_for_a_constructor_that_ours_took_the_place_of_are_refused() -> None:
    message = (
        "paramwise_cfg has decay_rate, num_layers, for another constructor: name that one too, by base_c"
    )
    with pytest.raises(OptionError, match=message):
        build(Network(), paramwise_cfg={"decay_rate": 0.9, "num_layers": 6, "norm_decay_mult": 0})
    build(Network(), base_constructor="DefaultOptimWrapperConstructor", paramwise_cfg={"my_note": 1})


def test_mmengines_own_constructor_reads_the_keys_that_ours_takes() -> None:
    source = inspect.getsource(DefaultOptimWrapperConstructor.add_params)
    assert set(re.findall(r"paramwise_cfg\.get\('(\w+)'", source)) == constructor._READ
