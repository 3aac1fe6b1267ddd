"""Step rules and the projection inside mmengine: built from a config, resumed, refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import AmpOptimWrapper, build_optim_wrapper
from mmengine.registry import OPTIM_WRAPPERS
from toy_training import INVARIANT, Network, PlainNetwork, build, decay_by_name, step, wrapper_config

from wrs_mm.engine import AmpPBWNOptimWrapper, AmpStepRuleOptimWrapper
from wrs_mm.engine.step_rules import STEP_RULES, build_rule
from wrs_mm.errors import ModelError, OptionError
from wrs_mm.rescaling import StepRule
from wrs_mm.rescaling.step_rules import Hyperball, Rotational

WRAPPERS: dict[str, dict[str, Any]] = {
    **{
        name: {"kind": "StepRuleOptimWrapper", "rule": rule}
        for name, rule in {
            "hyperball": {"type": "Hyperball"},
            "rotational": {"type": "Rotational", "weight_decay": 0.01},
            "scale_lr": {"type": "ScaledRate"},
            "shifted": {"type": "Shifted", "weight_decay": 0.01, "epsilon": 0.5},
        }.items()
    },
    "pbwn": {"kind": "PBWNOptimWrapper", "pbwn": {"interval": 2}},
}


def test_a_rule_is_built_from_its_name_its_path_or_its_class() -> None:
    assert build_rule({"type": "Rotational", "weight_decay": 0.1}).options() == {
        "weight_decay": 0.1,
        "decay": 0.9,
    }
    for kind in ("Hyperball", "wrs_mm.rescaling.step_rules.Hyperball", Hyperball):
        rule = build_rule(ConfigDict(type=kind, granularity="filter"))
        assert isinstance(rule, Hyperball) and rule.granularity == "filter"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, r"rule must be dict\(type=…, …\) in optim_wrapper, not None"),
        ({"granularity": "layer"}, r"rule must be dict\(type=…"),
        ({"type": "Hyperbal"}, r"no step rule 'Hyperbal'; did you mean Hyperball\?"),
        ({"type": "Nothing"}, "no step rule 'Nothing'; there are Hyperball, Rotational, ScaledRate, Shifted"),
        ({"type": "wrs_mm.errors.UsageError"}, "no step rule 'wrs_mm.errors.UsageError'"),
        ({"type": "Hyperball", "radius": 1}, "Hyperball has no option 'radius'; its options are granularity"),
        ({"type": "Rotational"}, "Rotational needs the option 'weight_decay'"),
    ],
)
def test_a_mistake_in_a_rule_is_one_line(config: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message) as error:
        build_rule(config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", WRAPPERS)
def test_it_trains_and_its_weights_have_the_decay_that_is_theirs(name: str) -> None:
    model = Network()
    wrapper = build(model, **WRAPPERS[name])
    for _ in range(3):
        step(model, wrapper)
    on = 0.01 if name == "pbwn" else 0.0
    decay = decay_by_name(model, wrapper)
    assert decay == {key: on if key in INVARIANT else 0.01 for key in decay}
    assert all(bool(p.isfinite().all()) for p in model.parameters())


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_resumed_run_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    batches = [torch.randn(4, 3, 10, 10) for _ in range(6)]
    model = Network()
    model.block[2].p = 0.0
    wrapper = build(model, **WRAPPERS[name])
    for x in batches[:3]:
        step(model, wrapper, x)
    torch.save([model.state_dict(), wrapper.state_dict()], tmp_path / "state.pth")
    for x in batches[3:]:
        step(model, wrapper, x)
    weights, state = torch.load(tmp_path / "state.pth", weights_only=True)
    resumed = Network()
    resumed.block[2].p = 0.0
    resumed.load_state_dict(weights)
    other = build(resumed, **WRAPPERS[name])
    other.load_state_dict(state)
    for x in batches[3:]:
        step(resumed, other, x)
    for key, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_a_checkpoint_of_another_arm_is_refused() -> None:
    model = Network()
    wrapper = build(model, **WRAPPERS["hyperball"])
    step(model, wrapper)
    state = wrapper.state_dict()
    for name in ("rotational", "pbwn"):
        with pytest.raises(OptionError, match=r"another regularizer|another version"):
            build(Network(), **WRAPPERS[name]).load_state_dict(copy.deepcopy(state))


def test_accumulation_makes_one_update_of_several_steps() -> None:
    model = Network()
    wrapper = build(model, **WRAPPERS["rotational"], accumulative_counts=2)
    for _ in range(4):
        step(model, wrapper)
    assert {float(state["steps"]) for state in wrapper.method.states.values()} == {2.0}


def test_gradients_are_clipped_before_a_rule_adds_its_own() -> None:
    model = Network()
    wrapper = build(model, **WRAPPERS["shifted"], clip_grad={"max_norm": 1e-9})
    step(model, wrapper)
    before = model.stem[0].weight.detach().clone()
    wrapper.optimizer.zero_grad()
    step(model, wrapper)
    # λ of the shifted decay moves the weight by far more than the clipped gradient could.
    assert float((model.stem[0].weight - before).abs().max()) > 1e-7


def test_decay_may_be_left_on_by_the_config_or_the_rule() -> None:
    model = Network()
    kept = build(model, **WRAPPERS["hyperball"], paramwise_cfg={"scale_invariant_decay_mult": 1.0})
    step(model, kept)
    assert set(decay_by_name(model, kept).values()) == {0.01}

    class Decaying(StepRule):
        decay_mult = 0.5

    model = Network()
    wrapper = build(model, "StepRuleOptimWrapper", rule={"type": Decaying})
    step(model, wrapper)
    assert {v for k, v in decay_by_name(model, wrapper).items() if k in INVARIANT} == {0.005}


def test_a_rule_of_ones_own_is_registered_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing(StepRule):
        """Does nothing."""

    monkeypatch.setitem(STEP_RULES.module_dict, "Nothing", Nothing)
    model = Network()
    wrapper = build(model, "StepRuleOptimWrapper", rule={"type": "Nothing"})
    step(model, wrapper)
    assert isinstance(wrapper.method.rule, Nothing)


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_model_without_bn_and_another_constructor_are_refused(name: str) -> None:
    model = PlainNetwork()
    if name == "pbwn":  # it has inner convolutions, too
        step(model, build(model, **WRAPPERS[name]))
    else:
        with pytest.raises(ModelError, match="nothing"):
            step(model, build(model, **WRAPPERS[name]))
    config = wrapper_config(**WRAPPERS[name])
    del config["constructor"]
    with pytest.raises(OptionError, match="needs constructor='ScaleInvariantOptimWrapperConstructor'"):
        build_optim_wrapper(Network(), ConfigDict(config))


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(OptionError, match="pbwn has no option 'target'"):
        build(Network(), "PBWNOptimWrapper", pbwn={"target": 1.0})
    with pytest.raises(OptionError, match="scale_invariance has no option 'granularity'"):
        build(Network(), **WRAPPERS["hyperball"], scale_invariance={"granularity": "layer"})
    with pytest.raises(OptionError, match="Rotational knows"):
        build_optim_wrapper(
            Network(),
            ConfigDict(
                {**wrapper_config(**WRAPPERS["rotational"]), "optimizer": {"type": "RMSprop", "lr": 0.1}}
            ),
        )
    assert isinstance(Rotational(0.1), StepRule)


def test_mixed_precision_has_its_wrappers() -> None:
    for kind in (AmpStepRuleOptimWrapper, AmpPBWNOptimWrapper):
        assert issubclass(kind, AmpOptimWrapper) and OPTIM_WRAPPERS.get(kind.__name__) is kind
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="AmpPBWNOptimWrapper needs a GPU: use type='PBWNOptimWrapper'"):
            build(Network(), "AmpPBWNOptimWrapper")
