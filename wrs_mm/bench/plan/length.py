"""How long a config trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wrs_mm.values import several

if TYPE_CHECKING:
    from mmengine.config import Config


@dataclass(frozen=True)
class Length:
    """How long a run trains.

    Attributes:
        count: How many units.
        unit: ``iteration`` or ``epoch``, whichever the recipe counts.
    """

    count: int
    unit: str

    def __str__(self) -> str:
        return several(self.count, self.unit)


def training_length(config: Config) -> Length | None:
    """How long a config trains; None where it does not say."""
    loop = config.get("train_cfg") or {}
    for key, unit in (("max_iters", "iteration"), ("max_epochs", "epoch")):
        if loop.get(key):
            return Length(int(loop[key]), unit)
    return None
