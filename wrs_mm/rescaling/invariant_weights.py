"""The scale-invariant weights of a model: found in the first forward, agreed between processes, kept."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch.distributed as dist
from torch import nn

from wrs_mm.errors import ModelError
from wrs_mm.rescaling.models import unwrap
from wrs_mm.rescaling.observation import Observation, from_plain, merge, to_plain
from wrs_mm.rescaling.observer import observe
from wrs_mm.rescaling.options import RescaleOptions
from wrs_mm.rescaling.sharding import refuse_unusable_shards, split_again
from wrs_mm.rescaling.verdicts import Verdict, judge

_Seen = TypeVar("_Seen")


class ScaleInvariantWeights:
    """Finds the scale-invariant weights of a model in its first training forward.

    Args:
        model: The model that trains; DDP and the like are looked through.
        granularity: ``'filter'``, each output channel on its own, ``'group'``, those that norm layers
            normalize together, or ``'layer'``, the whole weight.
        frozen_bn: What becomes of weights that feed a frozen BN: ``'skip'`` leaves them out, ``'fold'``
            takes them in (whoever rescales them must fold).
        then: Called as soon as the weights are known, be it from a forward or from a saved state.

    Raises:
        OptionError: An option's value is unknown.
        ModelError: The model is sharded otherwise than along its filters.
    """

    def __init__(
        self,
        model: nn.Module,
        granularity: str = "filter",
        frozen_bn: str = "skip",
        then: Callable[[], None] = lambda: None,
    ) -> None:
        RescaleOptions(granularity=granularity, frozen_bn=frozen_bn)
        refuse_unusable_shards(model)
        self.model = unwrap(model)
        self.granularity = granularity
        self.frozen_bn = frozen_bn
        self._then = then
        self.observation: Observation | None = None
        self.verdicts: tuple[Verdict, ...] = ()

    @property
    def found(self) -> bool:
        """Whether a forward has been observed."""
        return self.observation is not None

    @property
    def selected(self) -> list[Verdict]:
        """The verdicts on the selected weights, in the order of the model's parameters."""
        return [verdict for verdict in self.verdicts if verdict.selected]

    @property
    def watched(self) -> list[Verdict]:
        """The verdicts on those that are measured, in the same order: selected or standardized."""
        return [verdict for verdict in self.verdicts if verdict.watched]

    @property
    def selected_parameters(self) -> list[nn.Parameter]:
        """The selected weights themselves, in the same order."""
        return [self.parameters[verdict.name] for verdict in self.selected]

    @functools.cached_property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The model's, by name."""
        return dict(self.model.named_parameters())

    @functools.cached_property
    def modules(self) -> dict[str, nn.Module]:
        """The model's, by name."""
        return dict(self.model.named_modules())

    def still_trains(self, verdict: Verdict) -> bool:
        """Not if the weight, or with ``frozen_bn='skip'`` a BN after it, was frozen in mid-training."""
        assert self.observation is not None  # there is a verdict
        if not self.parameters[verdict.name].requires_grad:
            return False
        if self.frozen_bn == "fold":
            return True
        norms = self.observation.norms
        # A norm layer without statistics normalizes in eval mode as it does in training.
        return all(
            self.modules[norm].training
            for norm in verdict.norm_layers
            if norm in norms and norms[norm].mean is not None and norm in self.modules
        )

    @contextmanager
    def observing(self) -> Iterator[None]:
        """Watch the first training forward, from the input to the loss; later ones are left alone.

        With several processes, each must enter it with its own batch: they join what they saw.

        Raises:
            ModelError: The model is not in training mode, or the processes' models differ.
        """
        if self.found:
            yield
            return
        if not self.model.training:
            raise ModelError("the model is in eval mode: call model.train() before the observed forward")
        with observe(self.model) as observation:
            yield
        split_again(self.model)
        self._conclude(merge(gather(observation)))

    def _conclude(self, observation: Observation) -> None:
        self.observation = observation
        self.verdicts = tuple(judge(observation, self.granularity, self.frozen_bn))
        self._then()

    def state_dict(self) -> dict[str, Any]:
        """What was found, in plain Python, or ``{}`` before the first forward."""
        return to_plain(self.observation) if self.observation is not None else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what was found before, so that a resumed run does not look again.

        Raises:
            ModelError: The state is of another model.
        """
        if not state:
            return
        observation = from_plain(state)
        own = {name: tuple(p.shape) for name, p in self.model.named_parameters()}
        parameters = {n: facts for n, facts in observation.weights.items() if facts.computed_by is None}
        wrong = [name for name, facts in parameters.items() if own.get(name) != facts.shape]
        if wrong:
            raise ModelError(
                f"the checkpoint is of another model: it has no weight {wrong[0]} of that shape; "
                "load it with load_from instead of resuming"
            )
        self._conclude(observation)


def gather(value: _Seen) -> list[_Seen]:
    """What all processes have of something picklable; this one's alone where there is one."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values
