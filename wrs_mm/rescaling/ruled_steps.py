"""A step rule on the scale-invariant weights of a model, around each update of its optimizer."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, Adamax, AdamW, NAdam, Optimizer, RAdam, RMSprop

from wrs_mm.errors import ModelError, NotFiniteError, OptionError
from wrs_mm.rescaling.after_step import around_step
from wrs_mm.rescaling.invariant_weights import ScaleInvariantWeights
from wrs_mm.rescaling.options import LAYOUT, check_same_run
from wrs_mm.rescaling.partner_groups import add_partner_groups, move_to_partner_groups
from wrs_mm.rescaling.sharding import require_whole
from wrs_mm.rescaling.step_rule import RuledWeight, State, StepRule
from wrs_mm.rescaling.verdicts import Verdict, computed_weights, shorten, why_idle

_BLIND = (SGD, Adam, AdamW, NAdam, RAdam, Adamax, RMSprop, Adagrad)
"""Optimizers whose update, but for weight decay, does not depend on the weight."""


class RuledSteps:
    """Finds a model's scale-invariant weights, and lets a step rule act on them around each update.

    Make it after the optimizer and before the learning rate scheduler, and let it observe the first forward.

    What the rule's ``move`` is given as the update is exact: the weight stands at zero while one of torch's
    plain optimizers makes its step, so that no digit of a small update is lost beside a large weight. Of
    other optimizers, and where the weights have decay, it is the difference of the weight after and before.

    Args:
        model: The model that trains.
        optimizer: Its optimizer; any of torch's interface.
        rule: The rule.
        frozen_bn: ``'fold'`` counts weights before frozen BN in, as WRS with that option does.
        decay_mult: Factor on the weight decay of these weights; None for the rule's own.

    Attributes:
        states: What the rule keeps, by weight.

    Raises:
        OptionError: An option's value is out of its range, or the rule does not go with the optimizer.
        ModelError: The model is sharded.

    Example:
        >>> from wrs_mm.rescaling.step_rules import Hyperball
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=1e-4)
        >>> steps, before = RuledSteps(model, optimizer, Hyperball()), model[0].weight.norm()
        >>> with steps.observing():
        ...     loss = model(torch.randn(2, 3, 8, 8)).square().mean()
        >>> loss.backward()
        >>> optimizer.step()
        >>> bool(torch.isclose(model[0].weight.norm(), before))
        True
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        rule: StepRule,
        *,
        frozen_bn: str = "skip",
        decay_mult: float | None = None,
    ) -> None:
        require_whole(model, type(rule).__name__)
        self.invariant_weights = ScaleInvariantWeights(model, rule.granularity, frozen_bn, then=self._begin)
        self.optimizer = optimizer
        self.rule = rule
        self.decay_mult = rule.decay_mult if decay_mult is None else decay_mult
        self.states: dict[str, State] = {}
        self._old: dict[str, Tensor] = {}
        self._moves = type(rule).move is not StepRule.move
        rule.prepare(optimizer)
        add_partner_groups(optimizer, self.decay_mult)
        self._undo = around_step(optimizer, self._around)

    def observing(self) -> AbstractContextManager[None]:
        """Find the scale-invariant weights in the first training forward; see ScaleInvariantWeights.

        Raises:
            ModelError: There is none, or a convolution's weight is computed (``weight_norm``, weight
                standardization).
        """
        return self.invariant_weights.observing()

    def detach(self) -> None:
        """Give the optimizer its own ``step`` back."""
        self._undo()

    def _begin(self) -> None:
        """Once the weights are known: switch their weight decay, let the rule begin."""
        self._refuse_unusable()
        move_to_partner_groups(self.optimizer, self.invariant_weights.selected_parameters)
        groups = self._groups()
        for weight, _ in self._weights:
            if weight.name not in self.states and id(weight.parameter) in groups:
                with torch.no_grad():
                    self.states[weight.name] = self.rule.begin(weight, groups[id(weight.parameter)])

    def _refuse_unusable(self) -> None:
        """Raise ModelError where the rule has nothing to act on, or a weight is computed."""
        rule = type(self.rule).__name__
        found = self.invariant_weights
        assert found.observation is not None
        if computed := computed_weights(found.observation):
            raise ModelError(
                f"the weight of {shorten(computed)} is computed (weight_norm, weight standardization or "
                f"another parametrization): remove that before using {rule}"
            )
        if not found.selected:
            # No rule knows groups of filters, so none are proposed.
            why = why_idle(found.observation, found.verdicts, "layer")
            raise ModelError(f"{rule} has nothing to act on: {why}")

    @functools.cached_property
    def _weights(self) -> list[tuple[RuledWeight, Verdict]]:
        parameters = self.invariant_weights.parameters
        granularity = self.rule.granularity
        return [
            (RuledWeight(v.name, parameters[v.name], v.transposed_groups, granularity), v)
            for v in self.invariant_weights.selected
        ]

    def _groups(self) -> dict[int, dict[str, Any]]:
        """The parameter group of each parameter, by its id; loading a state makes new groups."""
        return {id(p): group for group in self.optimizer.param_groups for p in group["params"]}

    @torch.no_grad()
    def rates(self) -> dict[str, Tensor]:
        """By weight, the factors on the learning rate of its filters in the next update.

        Returns:
            ``(filters,)``, or ``(1,)`` of the whole weight (:meth:`StepRule.rate`); nothing before training.
        """
        if not self.states:  # the weights are not known yet
            return {}
        groups = self._groups()
        return {
            weight.name: self.rule.rate(
                weight.filters, weight, groups[id(weight.parameter)], self.states[weight.name]
            ).flatten()
            for weight, _ in self._weights
            if id(weight.parameter) in groups
        }

    @contextmanager
    def _around(self, closure: Any = None) -> Iterator[None]:
        """The context of one update.

        Raises:
            OptionError: The step has a closure, which computes gradients after the rule has acted on them.
        """
        if closure is not None:
            raise OptionError(
                f"{type(self.rule).__name__} acts on gradients that are there: call optimizer.step() "
                "without a closure"
            )
        if not self.invariant_weights.found:
            yield
            return
        groups = self._groups()
        active = [
            (weight, groups[id(weight.parameter)], self.states[weight.name])
            for weight, verdict in self._weights
            if id(weight.parameter) in groups
            and weight.parameter.grad is not None
            and self.invariant_weights.still_trains(verdict)
        ]
        with torch.no_grad():
            for weight, group, state in active:
                self.rule.before(weight, group, state)
        if self._moves:
            with self._set_aside(active):
                yield
        else:
            yield
        with torch.no_grad():
            for weight, group, state in active:
                self.rule.after(weight, group, state)
        try:
            self.rule.finish()
        except NotFiniteError:
            if self._moves:
                self._put_back(active)
            raise

    @contextmanager
    def _set_aside(self, active: list[tuple[RuledWeight, dict[str, Any], State]]) -> Iterator[None]:
        """Keep the weights as they are, and after the update put in its place what the rule makes of it."""
        blind = type(self.optimizer) in _BLIND
        at_zero = [blind and not group.get("weight_decay", 0) for _, group, _ in active]
        with torch.no_grad():
            for (weight, _, _), zero in zip(active, at_zero, strict=True):
                self._keep(weight)
                if zero:
                    weight.parameter.zero_()
        try:
            yield
        except BaseException:
            self._put_back(active)  # nobody must find the zeros
            raise
        with torch.no_grad():
            for (weight, group, state), zero in zip(active, at_zero, strict=True):
                old = self._old[weight.name]
                update = weight.filters
                if not zero:
                    update.sub_(weight.view(old))
                new = self.rule.move(weight.view(old), update, weight, group, state)
                if new is not update:
                    weight.filters.copy_(new)

    @torch.no_grad()
    def _put_back(self, active: list[tuple[RuledWeight, dict[str, Any], State]]) -> None:
        """Give the weights the values that they had before the update."""
        for weight, _, _ in active:
            weight.parameter.copy_(self._old[weight.name])

    def _keep(self, weight: RuledWeight) -> None:
        """Copy a weight, to where its last copy was."""
        kept, parameter = self._old.get(weight.name), weight.parameter.detach()
        kind = (parameter.device, parameter.dtype, parameter.stride())
        if kept is not None and (kept.device, kept.dtype, kept.stride()) == kind:
            kept.copy_(parameter)
        else:
            self._old[weight.name] = parameter.clone()

    # -- state ----------------------------------------------------------------------------------------

    def _shared(self) -> dict[str, Any]:
        """The options that a resumed run must share."""
        return {
            "rule": type(self.rule).__name__,
            "granularity": self.rule.granularity,
            "frozen_bn": self.invariant_weights.frozen_bn,
            "decay_mult": self.decay_mult,
            **self.rule.options(),
        }

    def state_dict(self) -> dict[str, Any]:
        """Options, what was found, and what the rule keeps; tensors and plain Python only."""
        return {
            "layout": LAYOUT,
            "options": self._shared(),
            "found": self.invariant_weights.state_dict(),
            "states": {name: dict(state) for name, state in self.states.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where the state was taken. Load it before the optimizer's own state.

        Raises:
            OptionError: The run was trained with other options, or by another version of wrs-mm.
            ModelError: The state is of another model.
        """
        check_same_run(state, self._shared())
        devices = {n: p.device for n, p in self.invariant_weights.parameters.items()}
        self.states = {
            # A copy: the rule goes on in place, and the state may be loaded twice.
            name: {key: value.to(devices.get(name, value.device), copy=True) for key, value in kept.items()}
            for name, kept in state["states"].items()
        }
        self.invariant_weights.load_state_dict(state["found"])
