"""Weight rescaling: after the optimizer's step, put each scale-invariant filter back to its target norm.

Liu et al., «Weight Rescaling: Effective and Robust Regularization for Deep Neural Networks with Batch
Normalization», arXiv 2102.03497. That norms go to 1 is the paper's; that it is each filter's, after every
update, with weight decay left on all other parameters, is our reading of it. The fold into BN is ours.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from wrs_mm.errors import ModelError, OptionError
from wrs_mm.rescaling.buckets import Bucket
from wrs_mm.rescaling.functional import (
    filter_norms,
    norm_dtype,
)
from wrs_mm.rescaling.invariant_weights import ScaleInvariantWeights
from wrs_mm.rescaling.optimizer import add_partner_groups, after_step, move_to_partner_groups
from wrs_mm.rescaling.options import check_rescaler_options
from wrs_mm.rescaling.verdicts import Verdict, computed_weights, shorten

LEFT_ALONE = ("dead", "nonfinite", "unfoldable")


class WeightRescaler:
    """Weight rescaling for a model and its optimizer, in any training loop.

    Make it after the optimizer and before the learning rate scheduler, and let it observe the first
    forward; from then on each ``optimizer.step()`` is followed by a rescale.

    Args:
        model: The model that trains.
        optimizer: Its optimizer; any of torch's interface.
        granularity: ``'filter'`` takes each filter's norm (the paper's weight vector), ``'layer'`` the whole
            weight's.
        target: ``'unit'``, norm 1; ``'init'``, the norm that it had when training began; or a number > 0.
        interval: Rescale after every that many updates.
        frozen_bn: ``'skip'`` leaves weights alone whose BN is frozen (normalizes with stored statistics);
            ``'fold'`` rescales them and folds, which keeps the network's function.
        min_norm: A filter whose norm is at most this share of its target is dead, and left alone.
        decay_mult: Factor on the weight decay of the rescaled weights; 1 leaves the groups as they are.

    Raises:
        OptionError: An option's value is out of its range.
        ModelError: The model is sharded.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=1e-4)
        >>> rescaler = WeightRescaler(model, optimizer)
        >>> with rescaler.observing():
        ...     loss = model(torch.randn(2, 3, 8, 8)).square().mean()
        >>> loss.backward()
        >>> optimizer.step()
        >>> bool(torch.allclose(model[0].weight.flatten(1).norm(dim=1), torch.ones(4)))
        True
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        *,
        granularity: str = "filter",
        target: str | float = "unit",
        interval: int = 1,
        frozen_bn: str = "skip",
        min_norm: float = 1e-8,
        decay_mult: float = 0.0,
    ) -> None:
        check_rescaler_options(granularity, target, interval, frozen_bn, min_norm)
        self.weights = ScaleInvariantWeights(model, granularity, frozen_bn)
        self.optimizer = optimizer
        self.target = target
        self.interval = interval
        self.min_norm = min_norm
        self.updates = 0
        self.targets: dict[str, Tensor] = {}
        self._buckets: list[Bucket] = []
        self._active: tuple[str, ...] | None = None
        add_partner_groups(optimizer, decay_mult)
        self._undo = after_step(optimizer, self._after_update)

    @property
    def rescaled(self) -> list[Verdict]:
        """The weights that are rescaled; empty before the first observed forward."""
        return self.weights.selected

    @property
    def left_alone(self) -> dict[str, int]:
        """How many filters the last rescale left as they were: dead, non-finite, or not to be folded."""
        masks = [bucket.skipped for bucket in self._buckets]
        return {key: sum(int(mask[key].sum()) for mask in masks) for key in LEFT_ALONE}

    @contextmanager
    def observing(self) -> Iterator[None]:
        """Find the scale-invariant weights in the first training forward; see ScaleInvariantWeights.

        Raises:
            ModelError: Nothing can be rescaled, or a convolution's weight is computed (``weight_norm``,
                weight standardization).
        """
        if self.weights.found:
            yield
            return
        with self.weights.observing():
            yield
        refuse_unusable(self.weights)
        self._take_over()

    def _take_over(self) -> None:
        """Once the weights are known: remember their norms, switch their weight decay."""
        parameters = dict(self.weights.model.named_parameters())
        chosen = {verdict.name: parameters[verdict.name] for verdict in self.rescaled}
        if self.target == "init" and not self.targets:
            self.targets = {
                v.name: filter_norms(chosen[v.name], v.transposed_groups, self.weights.granularity)
                for v in self.rescaled
            }
        move_to_partner_groups(self.optimizer, chosen.values())

    def _after_update(self) -> None:
        if not self.weights.found:
            return
        self.updates += 1
        if self.updates % self.interval == 0:
            self.rescale()

    def rescale(self) -> None:
        """``w_i ← c_i w_i`` and the fold, for all scale-invariant weights that still train."""
        active = tuple(v.name for v in self.rescaled if self._is_active(v))
        if active != self._active:
            self._active = active
            self._buckets = self._make_buckets([v for v in self.rescaled if v.name in active])
        for bucket in self._buckets:
            bucket.rescale()

    def _is_active(self, verdict: Verdict) -> bool:
        """Not if the weight, or with ``frozen_bn='skip'`` a BN after it, was frozen in mid-training."""
        if not self._parameters[verdict.name].requires_grad:
            return False
        if self.weights.frozen_bn == "fold":
            return True
        return all(self._modules[norm].training for norm in verdict.norm_layers if norm in self._modules)

    @functools.cached_property
    def _modules(self) -> dict[str, nn.Module]:
        return dict(self.weights.model.named_modules())

    @functools.cached_property
    def _parameters(self) -> dict[str, Tensor]:
        return dict(self.weights.model.named_parameters())

    def _make_buckets(self, verdicts: list[Verdict]) -> list[Bucket]:
        """One bucket for each device and precision."""
        kinds: dict[tuple, list[Verdict]] = {}
        for verdict in verdicts:
            parameter = self._parameters[verdict.name]
            kinds.setdefault((parameter.device, norm_dtype(parameter.dtype)), []).append(verdict)
        observation = self.weights.observation
        assert observation is not None  # nothing is rescaled before
        return [
            Bucket(
                group,
                self._parameters,
                self._modules,
                observation.norms,
                [self._target_of(verdict) for verdict in group],
                self.min_norm,
                self.weights.granularity,
            )
            for group in kinds.values()
        ]

    def _target_of(self, verdict: Verdict) -> Tensor | float:
        if self.target == "init":
            return self.targets[verdict.name]
        return 1.0 if self.target == "unit" else float(self.target)

    def detach(self) -> None:
        """Give the optimizer its own ``step`` back."""
        self._undo()

    # -- state ----------------------------------------------------------------------------------------

    def options(self) -> dict[str, Any]:
        """The options that a resumed run must share."""
        return {
            "granularity": self.weights.granularity,
            "target": self.target,
            "interval": self.interval,
            "frozen_bn": self.weights.frozen_bn,
        }

    def state_dict(self) -> dict[str, Any]:
        """Options, number of updates, what was found and the targets; tensors and plain Python only."""
        return {
            "options": self.options(),
            "updates": self.updates,
            "found": self.weights.state_dict(),
            "targets": self.targets,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where the state was taken. Load it before the optimizer's own state.

        Raises:
            OptionError: The run was trained with other options.
            ModelError: The state is of another model.
        """
        for key, value in self.options().items():
            saved = state["options"].get(key)
            if saved != value:
                raise OptionError(
                    f"the checkpoint was trained with wrs {key}={saved!r}, this run has {value!r}: "
                    "resume with the same option, or begin a new run with load_from"
                )
        self.updates = state["updates"]
        devices = {name: p.device for name, p in self.weights.model.named_parameters()}
        self.targets = {name: t.to(devices.get(name, t.device)) for name, t in state["targets"].items()}
        self.weights.load_state_dict(state["found"])
        if self.weights.found:
            self._take_over()


def refuse_unusable(weights: ScaleInvariantWeights) -> None:
    """Raise ModelError where WRS has nothing to do, or would do it to a weight that is computed."""
    assert weights.observation is not None
    computed = computed_weights(weights.observation)
    if computed:
        raise ModelError(
            f"the weight of {shorten(computed)} is computed (weight_norm, weight standardization or another "
            "parametrization): remove that before using weight rescaling"
        )
    if weights.selected:
        return
    norms = weights.observation.norms
    if any(facts.frozen for facts in norms.values()):
        hint = (
            "every BN that a trained weight feeds is frozen: set norm_eval=False and train it, or rescale "
            "and fold with wrs=dict(frozen_bn='fold', target='init')"
        )
    elif norms:
        hint = "no weight feeds only norm layers: `wrs-mm audit CONFIG` says why for each"
    else:
        hint = "it has no batch normalization: add norm layers (norm_cfg=dict(type='BN')) or use weight decay"
    raise ModelError(f"nothing in this model is scale-invariant: {hint}")
