"""The verdict on every convolution and linear weight of a config's model."""

from __future__ import annotations

from typing import Any

from torch import nn

from wrs_mm.openmmlab.synthetic import train_loss
from wrs_mm.rescaling import Verdict, judge, observe


def audit_model(
    model: nn.Module, batch: dict[str, Any], granularity: str = "filter", frozen_bn: str = "skip"
) -> list[Verdict]:
    """The verdicts on a model's weights in the loss of one batch.

    Args:
        model: A detector or segmentor in training mode.
        batch: See :func:`wrs_mm.openmmlab.synthetic.random_batch`.
        granularity: ``'filter'``, ``'group'`` or ``'layer'``.
        frozen_bn: ``'skip'`` or ``'fold'``.
    """
    with observe(model) as observation:
        train_loss(model, batch, seed=0)
    return judge(observation, granularity, frozen_bn)
