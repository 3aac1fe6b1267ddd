"""A small network, and the wrappers and Runners that train it in the tests of ``wrs_mm.engine``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, ClassVar

import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import Dataset

import wrs_mm  # noqa: F401

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


class PlainNetwork(Network):
    """The same without batch normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.stem[1], self.block[1] = nn.Identity(), nn.Identity()


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


def runner(work_dir: Path, by_epoch: bool, name: str, **more: Any) -> Runner:
    torch.manual_seed(0)
    sampler = {"type": "DefaultSampler" if by_epoch else "InfiniteSampler", "shuffle": True}
    loader = {"batch_size": 3, "num_workers": 0, "sampler": sampler}
    loader["collate_fn"] = {"type": "default_collate"}
    train_cfg: dict[str, Any] = {"by_epoch": by_epoch, "val_interval": 1 if by_epoch else 4}
    train_cfg.update({"max_epochs": 4} if by_epoch else {"max_iters": 16})
    hooks = {"checkpoint": {"type": "CheckpointHook", "by_epoch": by_epoch, "interval": 1 if by_epoch else 4}}
    wrs = {"target": "init", "target_schedule": "decay_and_growth"}
    return Runner(
        model=Network(), work_dir=str(work_dir), train_dataloader={**loader, "dataset": Images()},
        train_cfg=train_cfg, optim_wrapper=ConfigDict(wrapper_config(wrs=wrs)),
        param_scheduler={"type": "CosineAnnealingLR", "T_max": 16, "by_epoch": False},
        default_hooks=hooks, randomness={"seed": 3, "deterministic": True}, experiment_name=name,
        log_level=logging.ERROR, default_scope="mmengine",
        custom_hooks=[{"type": "RandomStateHook"}, *more.pop("custom_hooks", [])], **more,
    )  # fmt: skip
