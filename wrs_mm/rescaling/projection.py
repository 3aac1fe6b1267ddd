"""Projection-based weight normalization (Huang et al., arXiv 1710.02338): filters to norm 1, now and then.

After every few updates of the optimizer, with weight decay left on, each filter of each convolution goes to
norm 1, whether or not a norm layer follows; the classifier's do not. Of scale-invariant weights that is the
rescale of :class:`~wrs_mm.rescaling.weight_rescaler.WeightRescaler`, fold into BN and all; of the others it
changes what the network computes, as its authors' does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.optim import Optimizer

from wrs_mm.errors import ModelError
from wrs_mm.rescaling.inner_layers import inner_weights
from wrs_mm.rescaling.invariant_weights import gather
from wrs_mm.rescaling.sharding import require_whole
from wrs_mm.rescaling.verdicts import Verdict
from wrs_mm.rescaling.weight_rescaler import WeightRescaler


class WeightProjection(WeightRescaler):
    """Projection-based weight normalization for a model and its optimizer, in any training loop.

    Used as :class:`WeightRescaler`. A convolution with no norm layer after it is projected too, unless no
    other layer with a weight comes after it: that one is a classifier. One whose output reaches a BN only
    mixed with others, or frozen, is left alone, for that BN's statistics could not be folded.

    Args:
        model: The model that trains.
        optimizer: Its optimizer; any of torch's interface.
        interval: Project after every that many updates.
        frozen_bn: As in :class:`~wrs_mm.rescaling.RescaleOptions`.
        min_norm: As in RescaleOptions.
        decay_mult: Factor on the weight decay of the scale-invariant weights; None for 1.

    Raises:
        OptionError: An option's value is out of its range.
        ModelError: The model is sharded; later, no layer of it can be projected.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        *,
        interval: int = 10,
        frozen_bn: str = "skip",
        min_norm: float = 1e-8,
        decay_mult: float | None = None,
    ) -> None:
        require_whole(model, "projection-based weight normalization")
        self._inner: set[str] = set()
        options = {"interval": interval, "frozen_bn": frozen_bn, "min_norm": min_norm}
        super().__init__(model, optimizer, decay_mult=1.0 if decay_mult is None else decay_mult, **options)

    @contextmanager
    def observing(self) -> Iterator[None]:
        """Find the weights in the first training forward; see ScaleInvariantWeights.

        Raises:
            ModelError: As WeightRescaler's.
        """
        if self.invariant_weights.found:
            yield
            return
        with super().observing():
            with inner_weights(self.invariant_weights.model) as inner:
                yield
            self._inner = set().union(*gather(inner))

    @property
    def rescaled(self) -> list[Verdict]:
        """The weights that are projected: the selected, then the other convolutions."""
        others = [
            dataclasses.replace(verdict, feeds=())
            for verdict in self.invariant_weights.verdicts
            if not verdict.selected and self._is_projected(verdict)
        ]
        return [*super().rescaled, *others]

    def _refuse_nothing(self) -> None:
        """Raise ModelError that says why nothing can be projected."""
        raise ModelError(
            "nothing in this model can be projected: it has no trained convolution that another layer with a "
            "weight comes after, or BN; `wrs-mm audit CONFIG` says what each weight feeds"
        )

    def _is_projected(self, verdict: Verdict) -> bool:
        """Whether a weight that is not selected is an inner convolution, and no BN would be left behind."""
        observation = self.invariant_weights.observation
        assert observation is not None  # there is a verdict
        norms = [observation.norms[name] for name in verdict.norm_layers if name in observation.norms]
        inner = verdict.name in self._inner or bool(verdict.norm_layers)
        convolution = len(verdict.shape) > 2 and observation.weights[verdict.name].trained
        return verdict.used and convolution and inner and all(norm.mean is None for norm in norms)

    def _shared(self) -> dict[str, Any]:
        """The options that a resumed run must share."""
        return {**super()._shared(), "projected": "every inner convolution"}

    def state_dict(self) -> dict[str, Any]:
        """As WeightRescaler's, and which layers are inner ones."""
        return {**super().state_dict(), "inner": sorted(self._inner)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where the state was taken. Load it before the optimizer's own state.

        Raises:
            OptionError: The run was trained with other options, or by another version of wrs-mm.
            ModelError: The state is of another model.
        """
        self._inner = set(state.get("inner", ()))
        super().load_state_dict(state)
