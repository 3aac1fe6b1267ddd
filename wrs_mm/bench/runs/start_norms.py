"""The norms of the filters that a backbone starts with.

With weight rescaling they decide what the first steps do: going from norm n to 1 multiplies a filter's
effective learning rate by n².
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from wrs_mm.bench.runs.records import StartNorms
from wrs_mm.rescaling.functional import filter_norms
from wrs_mm.rescaling.models import unwrap


def start_norms(model: nn.Module) -> StartNorms | None:
    """The norms as they are now; None where the model has no backbone with convolutions.

    Args:
        model: With its backbone as ``backbone``.
    """
    convolutions = [
        one for one in getattr(model, "backbone", nn.Identity()).modules() if isinstance(one, nn.Conv2d)
    ]
    if not convolutions:
        return None
    norms = torch.cat([filter_norms(one.weight) for one in convolutions])
    return StartNorms(
        least=round(norms.min().item(), 6),
        median=round(norms.median().item(), 6),
        most=round(norms.max().item(), 6),
    )


class Start:
    """Takes the norms down when a model has been initialized, before anything is resumed.

    Args:
        model: As a Runner builds it.

    Attributes:
        norms: The norms; None before, and where there is no backbone.
    """

    def __init__(self, model: nn.Module) -> None:
        self.norms: StartNorms | None = None
        model = unwrap(model)
        # Its own, or that of whoever else waits for the same moment.
        before: Any = model.__dict__.get("init_weights")

        def init_weights() -> None:
            if before is None:
                del model.init_weights
            else:
                model.init_weights = before
            model.init_weights()
            self.norms = start_norms(model)

        model.init_weights = init_weights
