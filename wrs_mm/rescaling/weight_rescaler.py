"""Weight rescaling: after the optimizer's step, put each selected filter back to its target norm.

Liu et al., «Weight Rescaling: Effective and Robust Regularization for Deep Neural Networks with Batch
Normalization», arXiv 2102.03497. That norms go to 1 is the paper's; that it is each filter's, after every
update, with weight decay left on all other parameters, is our reading of it. The fold into BN is ours.

One step: ``optimizer.step()`` → :func:`~wrs_mm.rescaling.after_step.after_step` →
:meth:`WeightRescaler.rescale` → :meth:`~wrs_mm.rescaling.buckets.Bucket.rescale`, which works out the
equations that stand at the head of :mod:`~wrs_mm.rescaling.functional`: norms ``‖w_i‖₂``, factors
``c_i = target_i / ‖w_i‖₂``, the rescale ``w_i ← c_i w_i``, and the fold of each BN's ``mean_i``, ``var_i``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from wrs_mm.errors import ModelError
from wrs_mm.rescaling.after_step import after_step
from wrs_mm.rescaling.buckets import Bucket
from wrs_mm.rescaling.filter_groups import group_sizes
from wrs_mm.rescaling.functional import norm_dtype
from wrs_mm.rescaling.invariant_weights import ScaleInvariantWeights
from wrs_mm.rescaling.options import LAYOUT, RescaleOptions, check_same_run
from wrs_mm.rescaling.partner_groups import add_partner_groups, move_to_partner_groups
from wrs_mm.rescaling.sharding import shard_of
from wrs_mm.rescaling.spread_weight import norms_of
from wrs_mm.rescaling.target_schedule import SCHEDULES
from wrs_mm.rescaling.verdicts import Verdict, computed_weights, shorten, why_nothing, why_unselected

_SKIPPED = ("dead", "nonfinite", "unfoldable")


class WeightRescaler:
    """Weight rescaling for a model and its optimizer, in any training loop.

    Make it after the optimizer and before the learning rate scheduler, and let it observe the first
    forward; from then on each ``optimizer.step()`` is followed by a rescale.

    Args:
        model: The model that trains.
        optimizer: Its optimizer; any of torch's interface.
        decay_mult: Factor on the weight decay of the rescaled weights; 1 leaves the groups as they are. None
            is 0, or 1 where ``target_schedule`` follows weight decay.
        **options: Those of :class:`~wrs_mm.rescaling.RescaleOptions`: ``granularity``, ``target``,
            ``target_schedule``, ``interval``, ``frozen_bn``, ``min_norm``.

    Raises:
        OptionError: An option is unknown, its value out of its range, or there is no weight decay that
            targets could follow.
        ModelError: The model is sharded otherwise than along its filters.

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
        self, model: nn.Module, optimizer: Optimizer, *, decay_mult: float | None = None, **options: Any
    ) -> None:
        self.options = RescaleOptions.from_dict(options, type(self).__name__)
        self.invariant_weights = ScaleInvariantWeights(
            model, self.options.granularity, self.options.frozen_bn, then=self._begin
        )
        self.optimizer = optimizer
        self.decay_mult = self.options.decay_mult if decay_mult is None else decay_mult
        self.updates = 0
        self.targets: dict[str, Tensor] = {}
        self._left: dict[str, Tensor] = {}
        self._buckets: dict[int, list[Bucket]] = {}
        self._active: tuple[str, ...] | None = None
        # For a plain training loop; where mmengine's constructor has added them, it changes nothing.
        add_partner_groups(optimizer, self.decay_mult)
        schedule = SCHEDULES.get(self.options.target_schedule)
        self.schedule = schedule(optimizer) if schedule is not None else None
        self._undo = after_step(optimizer, self._after_update)

    @property
    def rescaled(self) -> list[Verdict]:
        """The weights that are rescaled; empty before the first observed forward."""
        return self.invariant_weights.selected

    @property
    def skipped(self) -> dict[str, int]:
        """How many filters the last rescale left as they were: dead, non-finite, or not to be folded."""
        masks = [bucket.skipped for buckets in self._buckets.values() for bucket in buckets]
        return {key: sum(int(mask[key].sum()) for mask in masks) for key in _SKIPPED}

    def observing(self) -> AbstractContextManager[None]:
        """Find the scale-invariant weights in the first training forward; see ScaleInvariantWeights.

        Raises:
            ModelError: Nothing can be rescaled, or a convolution's weight is computed (``weight_norm``,
                weight standardization).
        """
        return self.invariant_weights.observing()

    def _begin(self) -> None:
        """Once the weights are known: remember their norms, switch their weight decay."""
        _refuse_computed(self.invariant_weights)
        if not self.rescaled:
            self._refuse_nothing()
        weights = self.invariant_weights.selected_parameters
        if self._starts_from_norms and not self.targets:
            norms = {verdict.name: self._norms_of(verdict) for verdict in self.rescaled}
            sizes = {verdict.name: self._sizes_of(verdict) for verdict in self.rescaled}
            self.targets = norms if self.options.target == "init" else _root_mean_square(norms, sizes)
        move_to_partner_groups(self.optimizer, weights)
        if self.schedule is not None:
            self.schedule.begin(weights)
            self._left = self._left or {verdict.name: self._norms_of(verdict) for verdict in self.rescaled}

    def _refuse_nothing(self) -> None:
        """Raise ModelError that says why nothing can be rescaled."""
        found = self.invariant_weights
        assert found.observation is not None
        why = why_unselected(found.verdicts)
        if why is not None:
            raise ModelError(
                f"no scale-invariant weight of this model can be rescaled: {why}; `wrs-mm audit CONFIG` says "
                "why for each"
            )
        hint = why_nothing(found.observation, found.granularity, "wrs", "rescale and fold", "target='init'")
        raise ModelError(f"nothing in this model is scale-invariant: {hint}")

    @property
    def _starts_from_norms(self) -> bool:
        return self.options.target in ("init", "init_rms")

    def _norms_of(self, verdict: Verdict) -> Tensor:
        """``(groups,)`` of a weight."""
        return norms_of(self._parameters[verdict.name], verdict.transposed_groups, verdict.groups)

    def _sizes_of(self, verdict: Verdict) -> Tensor | int:
        """How many filters share a target, ``(groups,)``: with ``'layer'`` the whole weight counts as one."""
        if verdict.groups is None or self.options.granularity != "group":
            return 1
        return group_sizes(verdict.groups).to(self._parameters[verdict.name].device)

    def _after_update(self) -> None:
        if not self.invariant_weights.found:
            return
        self.updates += 1
        if self.schedule is not None:
            self.schedule.after_update()
        if self.updates % self.options.interval == 0:
            self.rescale()

    def rescale(self) -> None:
        """``w_i ← c_i w_i`` and the fold, for all selected weights that still train."""
        active = tuple(v.name for v in self.rescaled if self.invariant_weights.still_trains(v))
        if active != self._active:
            self._left = {name: norms for name, norms in self._norms_left().items() if name in active}
            self._active = active
            self._buckets = self._make_buckets([v for v in self.rescaled if v.name in active])
        measured = self.schedule is not None and self.schedule.before_rescale(self._buckets)
        for buckets in self._buckets.values():
            for bucket in buckets:
                bucket.rescale(measured)

    @property
    def _parameters(self) -> dict[str, nn.Parameter]:
        return self.invariant_weights.parameters

    def _make_buckets(self, verdicts: list[Verdict]) -> dict[int, list[Bucket]]:
        """By parameter group where targets move (else one for all), a bucket a device and precision."""
        kinds: dict[tuple, list[Verdict]] = {}
        for verdict in verdicts:
            parameter = self._parameters[verdict.name]
            group = 0 if self.schedule is None else self.schedule.group_of(parameter)
            shard = shard_of(parameter)
            processes = None if shard is None else shard.group
            kind = (group, parameter.device, norm_dtype(parameter.dtype), processes)
            kinds.setdefault(kind, []).append(verdict)
        buckets: dict[int, list[Bucket]] = {}
        for (group, *_), its in kinds.items():
            buckets.setdefault(group, []).append(self._make_bucket(its))
        return buckets

    def _make_bucket(self, verdicts: list[Verdict]) -> Bucket:
        observation = self.invariant_weights.observation
        assert observation is not None  # nothing is rescaled before
        bucket = Bucket(
            verdicts,
            self._parameters,
            self.invariant_weights.modules,
            observation.norms,
            [self._target_of(verdict) for verdict in verdicts],
            self.options.min_norm,
        )
        if self.schedule is not None:
            # A weight that was out for a while has moved since: it begins again with the norm that it has.
            left = [self._left[v.name] if v.name in self._left else self._norms_of(v) for v in verdicts]
            torch.cat(left, out=bucket.left)
        return bucket

    def _norms_left(self) -> dict[str, Tensor]:
        """By weight, the norms that the last rescale left, or those when training began; copies."""
        held = [bucket for buckets in self._buckets.values() for bucket in buckets]
        return self._left | {name: left.clone() for bucket in held for name, left in bucket.left_by_weight()}

    def _target_of(self, verdict: Verdict) -> Tensor | float:
        """The target norm of a weight's groups; of ``m`` filters √m times that of one."""
        if self.options.target == "init":
            return self.targets[verdict.name]
        if self.options.target == "init_rms":
            target: Tensor | float = self.targets[verdict.name]
        else:
            target = 1.0 if self.options.target == "unit" else float(self.options.target)
        sizes = self._sizes_of(verdict)
        return target if isinstance(sizes, int) else target * sizes.sqrt()

    def detach(self) -> None:
        """Give the optimizer its own ``step`` back."""
        self._undo()

    # -- state ----------------------------------------------------------------------------------------

    def _shared(self) -> dict[str, Any]:
        """The options that a resumed run must share."""
        return {**asdict(self.options), "decay_mult": self.decay_mult}

    def state_dict(self) -> dict[str, Any]:
        """Options, number of updates, what was found and the targets; tensors and plain Python only."""
        return {
            "layout": LAYOUT,
            "options": self._shared(),
            "updates": self.updates,
            "found": self.invariant_weights.state_dict(),
            "targets": self.targets,
            "schedule": self.schedule.state_dict() if self.schedule is not None else {},
            "left": self._norms_left() if self.schedule is not None else {},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where the state was taken. Load it before the optimizer's own state.

        Raises:
            OptionError: The run was trained with other options, or by another version of wrs-mm.
            ModelError: The state is of another model.
        """
        check_same_run(state, self._shared())
        self._buckets, self._active = {}, None  # of what was trained since, if anything was
        self.updates = state["updates"]
        devices = {name: p.device for name, p in self._parameters.items()}
        self.targets, self._left = (
            {name: t.to(devices.get(name, t.device)) for name, t in state[key].items()}
            for key in ("targets", "left")
        )
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self.invariant_weights.load_state_dict(state["found"])


def _root_mean_square(norms: Mapping[str, Tensor], sizes: Mapping[str, Tensor | int]) -> dict[str, Tensor]:
    """Of all filters that are not zero, one number for each weight: ``(1,)`` on its device.

    Args:
        norms: ``(groups,)`` by weight.
        sizes: How many filters a norm is of.
    """
    squares = torch.cat([n.double().square().cpu() for n in norms.values()])
    counts = torch.cat([torch.as_tensor(sizes[name]).cpu().expand(len(n)) for name, n in norms.items()])
    mean = (squares.sum() / torch.where(squares > 0, counts, 0).sum()).sqrt()
    return {name: mean.to(n.device).reshape(1) for name, n in norms.items()}


def _refuse_computed(invariant_weights: ScaleInvariantWeights) -> None:
    """Raise ModelError where a weight would be rescaled that is computed."""
    assert invariant_weights.observation is not None
    computed = computed_weights(invariant_weights.observation)
    if computed:
        raise ModelError(
            f"the weight of {shorten(computed)} is computed (weight_norm, weight standardization or another "
            "parametrization): remove that before using weight rescaling"
        )
