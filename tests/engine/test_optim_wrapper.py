"""The wrappers inside a real mmengine Runner."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import Dataset

import wrs_mm  # noqa: F401
from wrs_mm.errors import ModelError, OptionError

CONSTRUCTOR = "ScaleInvariantOptimWrapperConstructor"


class Images(Dataset):
    """Random crops: what a batch holds depends on numpy's random numbers, as an augmentation would."""

    metainfo: ClassVar[dict] = {}

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(index)
        image = torch.randn(3, 10, 10, generator=generator)
        return {"x": image + 0.1 * torch.randn(3, 1, 1)}


class Network(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(6, 6, 3), nn.BatchNorm2d(6), nn.Dropout(0.2))
        self.head = nn.Linear(6, 2)

    def forward(self, x: Tensor, mode: str = "tensor") -> Any:
        y = self.head(self.block(self.stem(x)).mean((2, 3)))
        if mode == "loss":
            return {"loss": (y - 1).square().mean()}
        return y


INVARIANT = ("stem.0.weight", "block.0.weight")


def wrapper_config(kind: str = "WRSOptimWrapper", **more: Any) -> dict[str, Any]:
    optimizer = {"type": "SGD", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
    return {"type": kind, "constructor": CONSTRUCTOR, "optimizer": optimizer, **more}


def build(model: nn.Module, kind: str = "WRSOptimWrapper", **more: Any) -> Any:
    return build_optim_wrapper(model, ConfigDict(wrapper_config(kind, **more)))


def step(model: Network, wrapper: Any, x: Tensor | None = None) -> None:
    x = torch.randn(4, 3, 10, 10) if x is None else x
    model.train_step({"x": x}, wrapper)


def filter_norms(model: nn.Module) -> Tensor:
    parameters = dict(model.named_parameters())
    return torch.cat([parameters[name].detach().flatten(1).norm(dim=1) for name in INVARIANT])


def decay_by_name(model: nn.Module, wrapper: Any) -> dict[str, float]:
    decay = {id(p): g["weight_decay"] for g in wrapper.optimizer.param_groups for p in g["params"]}
    return {name: decay[id(p)] for name, p in model.named_parameters()}


def test_wrs_needs_three_lines_and_rescales_after_each_update() -> None:
    model = Network()
    wrapper = build(model)
    for _ in range(3):
        step(model, wrapper)
        torch.testing.assert_close(filter_norms(model), torch.ones(12), rtol=1e-6, atol=0)
    for name, decay in decay_by_name(model, wrapper).items():
        assert decay == (0.0 if name in INVARIANT else 0.01), name


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


def test_other_decay_false_switches_all_of_it_off() -> None:
    model = Network()
    wrapper = build(model, wrs={"other_decay": False})
    step(model, wrapper)
    assert set(decay_by_name(model, wrapper).values()) == {0.0}


def test_accumulated_gradients_are_one_update() -> None:
    model = Network()
    wrapper = build(model, accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    for expected in (0, 1, 1, 2):
        step(model, wrapper)
        assert wrapper.rescaler.updates == expected


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
        ({"wrs": {"other_decay": 0}}, "other_decay must be"),
        ({"wrs": "filter"}, "dict of options"),
        ({"paramwise_cfg": {"scale_invariant_decay_mult": -1}}, "must be a number"),
    ],
)
def test_unknown_options_and_values_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build(Network(), **config)


def test_the_wrong_constructor_wrapper_or_machine_is_named() -> None:
    with pytest.raises(OptionError, match="WRSOptimWrapper"):
        build(Network(), "OptimWrapper")
    wrapper = build_optim_wrapper(
        Network(), ConfigDict({**wrapper_config(), "constructor": "DefaultOptimWrapperConstructor"})
    )
    with pytest.raises(OptionError, match=f"constructor='{CONSTRUCTOR}'"):
        step(Network(), wrapper)
    if not torch.cuda.is_available():
        with pytest.raises(OptionError, match="needs a GPU: use type='WRSOptimWrapper'"):
            build(Network(), "AmpWRSOptimWrapper")


def test_a_model_without_batch_norm_is_refused() -> None:
    class Plain(Network):
        def __init__(self) -> None:
            super().__init__()
            self.stem[1], self.block[1] = nn.Identity(), nn.Identity()

    model = Plain()
    with pytest.raises(ModelError, match="no batch normalization"):
        step(model, build(model))


class Kill(Hook):
    """Ends a training in the middle, as a signal would."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if runner.iter + 1 == self.iteration:
            raise KeyboardInterrupt


def runner(work_dir: Path, by_epoch: bool, name: str, **more: Any) -> Runner:
    torch.manual_seed(0)
    sampler = {"type": "DefaultSampler" if by_epoch else "InfiniteSampler", "shuffle": True}
    loader = {"batch_size": 3, "num_workers": 0, "sampler": sampler}
    loader["collate_fn"] = {"type": "default_collate"}
    train_cfg: dict[str, Any] = {"by_epoch": by_epoch, "val_interval": 1 if by_epoch else 4}
    train_cfg.update({"max_epochs": 4} if by_epoch else {"max_iters": 16})
    hooks = {"checkpoint": {"type": "CheckpointHook", "by_epoch": by_epoch, "interval": 1 if by_epoch else 4}}
    return Runner(
        model=Network(), work_dir=str(work_dir), train_dataloader={**loader, "dataset": Images()},
        train_cfg=train_cfg, optim_wrapper=ConfigDict(wrapper_config(wrs={"target": "init"})),
        param_scheduler={"type": "CosineAnnealingLR", "T_max": 16, "by_epoch": False},
        default_hooks=hooks, randomness={"seed": 3, "deterministic": True}, experiment_name=name,
        log_level=logging.ERROR, default_scope="mmengine",
        custom_hooks=[{"type": "RandomStateHook"}, *more.pop("custom_hooks", [])], **more,
    )  # fmt: skip


@pytest.mark.parametrize("by_epoch", [True, False], ids=["epochs", "iterations"])
def test_a_run_killed_and_resumed_is_the_run_bit_for_bit(tmp_path: Path, by_epoch: bool) -> None:
    kind = "epochs" if by_epoch else "iterations"
    whole = runner(tmp_path / "whole", by_epoch, f"whole-{kind}")
    whole.train()
    killed = runner(tmp_path / "killed", by_epoch, f"killed-{kind}", custom_hooks=[Kill(10)])
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    torch.manual_seed(99)
    resumed = runner(tmp_path / "killed", by_epoch, f"resumed-{kind}", resume=True)
    resumed.train()
    assert resumed.iter == whole.iter == 16
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
    momentum = [s["momentum_buffer"] for s in whole.optim_wrapper.optimizer.state.values()]
    again = [s["momentum_buffer"] for s in resumed.optim_wrapper.optimizer.state.values()]
    assert sorted(map(float, (m.sum() for m in momentum))) == sorted(map(float, (m.sum() for m in again)))


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
