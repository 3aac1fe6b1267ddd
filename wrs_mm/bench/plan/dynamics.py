"""How a plan has its runs watch their weights: ``dynamics: {interval: 50}``.

It is a part of what a run is, but not of what it trains: the hook that watches is added when a run starts, as
everything is that the harness adds, and its numbers are those of a run without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wrs_mm.bench.plan.mistakes import Mistake


class DynamicsOptions(BaseModel):
    """The options of :class:`wrs_mm.engine.hooks.WeightDynamicsHook`.

    Attributes:
        interval: One of so many updates is measured.
        frozen_bn: ``fold`` watches weights before frozen BN too, in arms that do not say which they mean.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    interval: int = Field(default=50, ge=1)
    frozen_bn: Literal["skip", "fold"] = "skip"

    @model_validator(mode="before")
    @classmethod
    def _is_mapping(cls, value: Any) -> Any:
        if not isinstance(value, (Mapping, cls)):
            raise Mistake(f"write a mapping such as {{interval: 50}}, not {value!r}")
        return value
