"""How much of a run's filters no gradient reached, as far as reports and packs go into it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from wrs_mm.bench.runs.measurements import AtIteration, parse_measurements, read_measurements
from wrs_mm.engine.hooks.weight_noise_hook import NAME

_Share = Annotated[float, Field(ge=0, le=1 + 1e-6, allow_inf_nan=False)]


class LayerNoise(BaseModel):
    """A layer when it was looked at.

    Attributes:
        layer: Name of its weight.
        size: Values of a filter.
        patches: How many were seen.
        rank: Of the patches, the mean over groups.
        share: The share of a filter's energy outside their span, the mean over filters.
        unseen: The share of the energy of other images' patches outside; None where there were none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    layer: str
    size: int = Field(ge=1)
    patches: int = Field(ge=0)
    rank: float = Field(ge=0, allow_inf_nan=False)
    share: _Share
    unseen: _Share | None


class NoiseMeasurement(AtIteration):
    """What was measured after some updates.

    Attributes:
        layers: What was measured of each layer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    layers: tuple[LayerNoise, ...]

    @property
    def share(self) -> float:
        """The mean over its layers."""
        return sum(one.share for one in self.layers) / len(self.layers)


def run_weight_noise(folder: Path) -> tuple[NoiseMeasurement, ...]:
    """What a run measured; nothing where it measured nothing, or the file is damaged.

    Args:
        folder: The run's.
    """
    return read_measurements(folder / NAME, NoiseMeasurement)


def parse(content: bytes) -> tuple[NoiseMeasurement, ...]:
    """The measurements in a file.

    Raises:
        ValueError: It is damaged, or of another version.
    """
    return parse_measurements(content, NoiseMeasurement, NAME)
