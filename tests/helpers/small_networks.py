"""Small networks whose verdicts can be told by hand, and their verdicts."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wrs_mm.rescaling import Verdict, judge, observe


def verdicts(model: nn.Module, x: Tensor, **options: str) -> dict[str, Verdict]:
    """By weight, the verdict on it in one forward."""
    with observe(model) as observation:
        model(x).square().mean()
    return {v.name: v for v in judge(observation, **options)}


def sequence(*between: nn.Module, bias: bool = False) -> nn.Sequential:
    """A convolution, what comes between, and a BN."""
    return nn.Sequential(nn.Conv2d(3, 6, 3, bias=bias), *between, nn.BatchNorm2d(6))


class Branches(nn.Module):
    """Two convolutions whose outputs are joined before one BN."""

    def __init__(self, join: str) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(3, 4, 1, bias=False)
        self.bn = nn.BatchNorm2d(8 if join in ("cat", "shuffle") else 4)
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.a(x), self.b(x)
        if self.join == "cat":
            return self.bn(torch.cat([a, F.relu(b)], dim=1))
        if self.join == "shuffle":
            y = torch.stack([a, b], dim=2).flatten(1, 2)
            return self.bn(y)
        if self.join == "batch":
            return self.bn(torch.cat([a, b], dim=0))
        if self.join == "add":
            return self.bn(a + b)
        if self.join == "shared norm":
            return self.bn(a) + self.bn(b)
        if self.join == "used elsewhere":
            return self.bn(a).mean() + a.mean() + self.bn(b).mean()
        raise ValueError(self.join)


class Segmentor(nn.Module):
    """What the audit asks of a model: a preprocessor, losses by name, and their sum."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.noise = 0.0

    def data_preprocessor(self, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        return batch

    def forward(self, inputs: Tensor, mode: str) -> dict[str, Tensor]:
        self.noise += 0.1 if hasattr(self, "restless") else 0.0
        return {"loss": self.layers(inputs).square().mul(torch.arange(4.0)).mean() + self.noise}

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return losses["loss"], losses
