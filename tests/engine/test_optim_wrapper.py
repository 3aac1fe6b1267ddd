"""The wrappers: one method, found weights, and nothing but the optimizer's step from then on."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import AmpOptimWrapper, OptimWrapper, build_optim_wrapper
from torch import nn
from toy_training import (
    CONSTRUCTOR,
    INVARIANT,
    Network,
    PlainNetwork,
    build,
    decay_by_name,
    filter_norms,
    runner,
    step,
    wrapper_config,
)

import wrs_mm
from wrs_mm.engine import (
    AmpScaleInvariantOptimWrapper,
    AmpWRSOptimWrapper,
    ScaleInvariantOptimWrapper,
    WRSOptimWrapper,
)
from wrs_mm.errors import ModelError, OptionError


def test_wrs_needs_three_lines_and_rescales_after_each_update() -> None:
    model = Network()
    wrapper = build(model)
    for _ in range(3):
        step(model, wrapper)
        torch.testing.assert_close(filter_norms(model), torch.ones(12), rtol=1e-6, atol=0)
    for name, decay in decay_by_name(model, wrapper).items():
        assert decay == (0.0 if name in INVARIANT else 0.01), name


def test_accumulated_gradients_are_one_update() -> None:
    model = Network()
    wrapper = build(model, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    for expected in (0, 1, 1, 2):
        step(model, wrapper)
        assert wrapper.method.updates == expected


def test_clipping_goes_with_it() -> None:
    model = Network()
    wrapper = build(model, clip_grad={"max_norm": 0.1})
    step(model, wrapper)
    torch.testing.assert_close(filter_norms(model), torch.ones(12), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"wrs": {"granularty": "filter"}}, "no option 'granularty'"),
        ({"wrs": {"target": "one"}}, "target must be"),
        ({"wrs": {"other_decay": False}}, r"paramwise_cfg=dict\(other_decay_mult=…\)"),
        ({"wrs": "filter"}, "dict of options"),
    ],
)
def test_unknown_options_and_values_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build(Network(), **config)


@pytest.mark.parametrize("kind", ["WRSOptimWrapper", "ScaleInvariantOptimWrapper"])
def test_a_wrapper_without_its_constructor_fails_when_it_is_built(kind: str) -> None:
    config = wrapper_config(kind)
    del config["constructor"]
    with pytest.raises(OptionError, match=f"^{kind} needs constructor='{CONSTRUCTOR}'.*$") as error:
        build_optim_wrapper(Network(), ConfigDict(config))
    assert "\n" not in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize("kind", ["WRSOptimWrapper", "ScaleInvariantOptimWrapper"])
def test_mixed_precision_without_a_gpu_names_the_wrapper_to_use(kind: str) -> None:
    with pytest.raises(OptionError, match=f"needs a GPU: use type='{kind}'"):
        build(Network(), f"Amp{kind}")


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        ("WRSOptimWrapper", {}, "no batch normalization"),
        (
            "ScaleInvariantOptimWrapper",
            {"paramwise_cfg": {"scale_invariant_decay_mult": 0}},
            "nothing to act on",
        ),
    ],
)
def test_a_model_without_batch_norm_is_refused(kind: str, more: dict[str, Any], message: str) -> None:
    model = PlainNetwork()
    with pytest.raises(ModelError, match=message):
        step(model, build(model, kind, **more))


def test_weight_decay_as_it_is_suits_any_model() -> None:
    model = PlainNetwork()
    step(model, build(model, "ScaleInvariantOptimWrapper"))


# -- one training step --------------------------------------------------------------------------------


class CallsOfOurs:
    """Which functions of wrs_mm are called, and which of them within the optimizer's step."""

    def __init__(self) -> None:
        self.all: set[str] = set()
        self.outside_the_step: set[str] = set()

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        package = str(Path(wrs_mm.__file__).parent)
        if event != "call" or not frame.f_code.co_filename.startswith(package):
            return
        self.all.add(frame.f_code.co_name)
        caller: FrameType | None = frame
        while caller is not None and caller.f_code.co_name != "step_within":
            caller = caller.f_back
        if caller is None:
            self.outside_the_step.add(frame.f_code.co_name)


def watched_step(model: Network, wrapper: Any) -> CallsOfOurs:
    calls = CallsOfOurs()
    sys.setprofile(calls)
    try:
        step(model, wrapper)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("kind", ["WRSOptimWrapper", "ScaleInvariantOptimWrapper"])
def test_after_the_first_step_only_the_optimizers_step_runs_anything_of_ours(kind: str) -> None:
    model = Network()
    wrapper = build(model, kind)
    assert "_observed_optim_context" in watched_step(model, wrapper).outside_the_step
    for _ in range(2):
        calls = watched_step(model, wrapper)
        assert calls.outside_the_step == set()
        assert ("rescale" in calls.all) == (kind == "WRSOptimWrapper")


def test_once_the_weights_are_known_the_context_is_mmengines_own() -> None:
    for kind in (WRSOptimWrapper, ScaleInvariantOptimWrapper):
        assert kind.optim_context is OptimWrapper.optim_context
    for kind in (AmpWRSOptimWrapper, AmpScaleInvariantOptimWrapper):
        assert kind.optim_context is AmpOptimWrapper.optim_context
    model = Network()
    wrapper = build(model)
    assert wrapper.optim_context.__func__ is not OptimWrapper.optim_context
    step(model, wrapper)
    assert wrapper.optim_context.__func__ is OptimWrapper.optim_context
    resumed = build(Network())
    resumed.load_state_dict(copy.deepcopy(wrapper.state_dict()))
    assert resumed.optim_context.__func__ is OptimWrapper.optim_context


def test_a_context_that_a_subclass_adds_is_entered_in_every_step() -> None:
    entered = []

    class Counting(WRSOptimWrapper):
        @contextmanager
        def optim_context(self, model: nn.Module) -> Iterator[None]:
            entered.append(self.method.invariant_weights.found)
            with super().optim_context(model):
                yield

    model = Network()
    wrapper = build(model, Counting)
    for _ in range(3):
        step(model, wrapper)
    assert entered == [False, True, True]


def test_a_forward_that_fails_is_watched_again() -> None:
    model = Network()
    wrapper = build(model)
    with pytest.raises(RuntimeError):
        step(model, wrapper, torch.randn(4, 5, 10, 10))
    step(model, wrapper)
    torch.testing.assert_close(filter_norms(model), torch.ones(12), rtol=1e-6, atol=0)


def test_the_log_says_how_many_weights_were_found(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr("wrs_mm.engine.optim_wrapper.print_log", lambda text, logger: lines.append(text))
    model = Network()
    wrapper = build(model)
    step(model, wrapper)
    step(model, wrapper)
    assert lines == ["2 of 3 convolution and linear weights are scale-invariant, 2 are selected"]


def test_mixed_precision_rescales_too(monkeypatch: pytest.MonkeyPatch) -> None:
    amp = "mmengine.optim.optimizer.amp_optimizer_wrapper"
    monkeypatch.setattr(f"{amp}.is_cuda_available", lambda: True)
    monkeypatch.setattr(f"{amp}.GradScaler", lambda **options: torch.amp.GradScaler("cpu", **options))
    model = Network()
    wrapper = build(model, "AmpWRSOptimWrapper", dtype="bfloat16", wrs={"target": 2})
    for _ in range(3):
        step(model, wrapper)
        torch.testing.assert_close(filter_norms(model), torch.full((12,), 2.0), rtol=1e-6, atol=0)
    resumed_model = Network()
    resumed = build(resumed_model, "AmpWRSOptimWrapper", dtype="bfloat16", wrs={"target": 2})
    resumed.load_state_dict(copy.deepcopy(wrapper.state_dict()))
    assert resumed.method.updates == 3 and "loss_scaler" in wrapper.state_dict()


# -- averages and resuming ----------------------------------------------------------------------------


def test_the_averaged_model_starts_from_the_rescaled_one(tmp_path: Path) -> None:
    with_ema = runner(tmp_path, False, "ema", custom_hooks=[{"type": "EMAHook", "momentum": 0.1}])
    with_ema.train_loop._max_iters = 1
    with_ema.train()
    hook = next(h for h in with_ema.hooks if type(h).__name__ == "EMAHook")
    x = torch.randn(2, 3, 10, 10)
    ours, averaged = with_ema.model.eval(), copy.deepcopy(hook.ema_model.module).eval()
    with torch.no_grad():
        torch.testing.assert_close(averaged(x), ours(x), rtol=1e-5, atol=1e-6)


def test_a_checkpoint_without_wrs_is_not_resumed_silently() -> None:
    model = Network()
    plain = build_optim_wrapper(
        model, ConfigDict({**wrapper_config("OptimWrapper"), "constructor": "DefaultOptimWrapperConstructor"})
    )
    with pytest.raises(OptionError, match="load_from instead of resuming"):
        build(model).load_state_dict(plain.state_dict())


def stepped(kind: str = "WRSOptimWrapper", **more: Any) -> Any:
    model = Network()
    wrapper = build(model, kind, **more)
    step(model, wrapper)
    return wrapper


def test_a_checkpoint_of_the_other_method_is_not_resumed() -> None:
    state = stepped("ScaleInvariantOptimWrapper").state_dict()
    with pytest.raises(OptionError, match=r"another regularizer.*load_from instead of resuming"):
        build(Network()).load_state_dict(state)


def test_a_checkpoint_of_another_decay_is_not_resumed() -> None:
    state = stepped().state_dict()
    wrapper = build(Network(), paramwise_cfg={"scale_invariant_decay_mult": 0.5})
    with pytest.raises(OptionError, match=r"decay_mult=0\.0, this run has 0\.5"):
        wrapper.load_state_dict(state)


@pytest.mark.parametrize(
    "old",
    [
        {"found": {"weights": {}, "norms": {}}},
        {"options": {"granularity": "filter"}, "updates": 1, "found": {}, "targets": {}},
    ],
)
@pytest.mark.parametrize("kind", ["WRSOptimWrapper", "ScaleInvariantOptimWrapper"])
def test_a_checkpoint_of_an_earlier_version_says_to_begin_a_new_run(kind: str, old: dict[str, Any]) -> None:
    state = {**stepped(kind).state_dict(), "wrs": old}
    with pytest.raises(
        OptionError, match=r"another version of wrs-mm: .*load_from instead of resuming"
    ) as error:
        build(Network(), kind).load_state_dict(state)
    assert "\n" not in str(error.value)


def test_a_resumed_weight_keeps_its_own_momentum() -> None:
    model = Network()
    wrapper = build(model)
    for _ in range(3):
        step(model, wrapper)
    resumed_model = Network()
    resumed = build(resumed_model)
    resumed.load_state_dict(copy.deepcopy(wrapper.state_dict()))
    others = dict(resumed_model.named_parameters())
    for name, parameter in model.named_parameters():
        mine = wrapper.optimizer.state[parameter]["momentum_buffer"]
        assert torch.equal(resumed.optimizer.state[others[name]]["momentum_buffer"], mine), name
    assert decay_by_name(resumed_model, resumed) == decay_by_name(model, wrapper)
