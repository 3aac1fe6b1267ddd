"""Weight decay of a strength of its own on the scale-invariant weights.

That is what the arms ``none``, and ``wd`` with a strength of its own, are.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from torch import nn
from torch.optim import Optimizer

from wrs_mm.errors import ModelError
from wrs_mm.rescaling.invariant_weights import ScaleInvariantWeights
from wrs_mm.rescaling.options import LAYOUT, check_same_run
from wrs_mm.rescaling.partner_groups import add_partner_groups, move_to_partner_groups
from wrs_mm.rescaling.verdicts import why_idle


class ScaleInvariantDecay:
    """Finds a model's scale-invariant weights and multiplies their weight decay; nothing else.

    Make it after the optimizer and before the learning rate scheduler, and let it observe the first forward.

    Args:
        model: The model that trains.
        optimizer: Its optimizer; any of torch's interface.
        granularity: See :class:`~wrs_mm.rescaling.RescaleOptions`.
        frozen_bn: ``'fold'`` counts weights before frozen BN in, as WRS with that option does.
        decay_mult: Factor on the weight decay of the weights that are found; 1 leaves the groups as they are.

    Raises:
        OptionError: An option's value is out of its range.
        ModelError: The model is sharded otherwise than along its filters.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        *,
        granularity: str = "filter",
        frozen_bn: str = "skip",
        decay_mult: float = 1.0,
    ) -> None:
        self.invariant_weights = ScaleInvariantWeights(model, granularity, frozen_bn, then=self._begin)
        self.optimizer = optimizer
        self.decay_mult = decay_mult
        add_partner_groups(optimizer, decay_mult)

    def observing(self) -> AbstractContextManager[None]:
        """Find the scale-invariant weights in the first training forward; see ScaleInvariantWeights.

        Raises:
            ModelError: A factor was asked for, and no weight is selected.
        """
        return self.invariant_weights.observing()

    def _begin(self) -> None:
        """Once the weights are known: give them their weight decay."""
        if self.decay_mult != 1 and not self.invariant_weights.selected:
            found = self.invariant_weights
            assert found.observation is not None
            why = why_idle(found.observation, found.verdicts, found.granularity)
            raise ModelError(f"scale_invariant_decay_mult has nothing to act on: {why}")
        move_to_partner_groups(self.optimizer, self.invariant_weights.selected_parameters)

    def _shared(self) -> dict[str, Any]:
        """The options that a resumed run must share."""
        return {
            "granularity": self.invariant_weights.granularity,
            "frozen_bn": self.invariant_weights.frozen_bn,
            "decay_mult": self.decay_mult,
        }

    def state_dict(self) -> dict[str, Any]:
        """Options and what was found, in plain Python."""
        return {"layout": LAYOUT, "options": self._shared(), "found": self.invariant_weights.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where the state was taken. Load it before the optimizer's own state.

        Raises:
            OptionError: The run was trained with other options, or by another version of wrs-mm.
            ModelError: The state is of another model.
        """
        check_same_run(state, self._shared())
        self.invariant_weights.load_state_dict(state["found"])
