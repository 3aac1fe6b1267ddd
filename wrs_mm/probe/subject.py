"""What is probed: a network with its scale-invariant weights and a few batches, in float64 where it can."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wrs_mm.audit.precision import NORM_LAYERS, copy_in, default_dtype, loss_of, prepare
from wrs_mm.audit.verdicts import audit_model
from wrs_mm.errors import ModelError, NotFiniteError
from wrs_mm.rescaling import Verdict
from wrs_mm.rescaling.dynamics import WatchedWeight
from wrs_mm.rescaling.functional import number_of_filters


@dataclass(frozen=True)
class Subject:
    """A network, and what its loss is computed from.

    Attributes:
        model: In train mode.
        data: Batches, after the model's own preprocessor.
        verdicts: On the scale-invariant weights that are trained, in the order of the model's parameters.
        dtype: The precision in which the model could run, float64 or float32.
    """

    model: nn.Module
    data: tuple[dict[str, Any], ...]
    verdicts: tuple[Verdict, ...]
    dtype: torch.dtype

    def loss(self, number: int = 0, seed: int = 0) -> Tensor:
        """The training loss of a batch; after the last comes the first.

        Args:
            number: Which batch.
            seed: Of what the forward draws.

        Raises:
            NotFiniteError: It is not finite.
        """
        with default_dtype(self.dtype):
            loss = loss_of(self.model, self.data[number % len(self.data)], self.dtype, seed)
        if not bool(torch.isfinite(loss)):
            raise NotFiniteError("the loss is not finite: choose a smaller --lr")
        return loss

    def copy(self, eps: float | None = None) -> Subject:
        """The same with a model of its own.

        Args:
            eps: Of all norm layers, in place of their own.
        """
        model = copy_in(self.model, self.dtype)
        for module in model.modules():
            if eps is not None and isinstance(module, NORM_LAYERS):
                module.eps = eps
        return dataclasses.replace(self, model=model)

    def weights(self) -> list[WatchedWeight]:
        """The scale-invariant weights."""
        parameters = dict(self.model.named_parameters())
        return [WatchedWeight(v.name, parameters[v.name], v.transposed_groups) for v in self.verdicts]

    def filters(self) -> dict[str, slice]:
        """By weight, where its filters stand when those of all weights stand in a row."""
        places, begin = {}, 0
        for verdict in self.verdicts:
            end = begin + number_of_filters(verdict.shape, verdict.transposed_groups)
            places[verdict.name], begin = slice(begin, end), end
        return places


def make_subject(model: nn.Module, batches: Sequence[dict[str, Any]]) -> Subject:
    """Find the scale-invariant weights of a model, and the precision that it runs in.

    Args:
        model: A detector or segmentor in train mode; a copy of it is probed.
        batches: As a data loader gives them.

    Raises:
        ModelError: None of its trained weights is scale-invariant.
        Exception: What the model raises where its loss cannot be computed.
    """
    verdicts = audit_model(copy_in(model, torch.float32), batches[0])
    chosen = tuple(v for v in verdicts if v.scale_invariant and v.selected)
    if not chosen:
        parameters = dict(model.named_parameters())
        feeding = (v for v in verdicts if v.norm_layers and parameters[v.name].requires_grad)
        why = next((f"{v.name} {v.reason}" for v in feeding), "none feeds a norm layer")
        raise ModelError(
            f"no weight of this model is scale-invariant and trained, so there is nothing to probe: {why}; "
            "`wrs-mm audit CONFIG` says why for each"
        )
    for dtype in (torch.float64, torch.float32):
        subject = copy_in(model, dtype)
        try:
            with default_dtype(dtype):
                data = tuple(prepare(subject, batch, dtype) for batch in batches)
                # Of which the gradient is computed, too: some operators are made for float32 alone.
                loss_of(copy_in(subject, dtype), data[0], dtype).backward()
        except (RuntimeError, TypeError, IndexError):
            if dtype is torch.float32:
                raise
            continue
        break
    return Subject(subject, data, chosen, dtype)
