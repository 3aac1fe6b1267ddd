"""Verdicts held against brute force: multiply filters by random factors, and compare the losses.

Filters that a verdict speaks of as one (its ``groups``) are multiplied by one factor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wrs_mm.audit.precision import NEGLIGIBLE_EPS, NORM_LAYERS, copy_in, default_dtype, repeatable_loss
from wrs_mm.borrowed import seeded
from wrs_mm.errors import ConfigError
from wrs_mm.rescaling import Verdict
from wrs_mm.rescaling.filter_groups import number_of_groups
from wrs_mm.rescaling.functional import filter_view, number_of_filters, rescale_

_TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-5}
"""A loss that changes by at most this share of itself counts as unchanged."""

_RADIAL_TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-2}
"""A gradient of which less than this share points along the filters does not change their scale."""

_FACTORS = torch.tensor([0.25, 0.5, 2.0, 4.0])


@dataclass(frozen=True)
class Verification:
    """What brute force says.

    Attributes:
        dtype: The precision in which the model could run.
        tolerance: The relative change of the loss up to which it counts as unchanged.
        loss_change: By weight, the relative change of the loss when its filters are multiplied. Weights found
            scale-invariant are multiplied together (one by one where that changes the loss). None: not
            multiplied, because the gradient shows already that the loss changes.
        radial: By weight, the share of the loss's gradient that points along its filters (0 to 1);
            None where the loss has no gradient, which is a weight that does not affect it.
    """

    dtype: torch.dtype
    tolerance: float
    loss_change: dict[str, float | None]
    radial: dict[str, float | None]

    def affects_loss(self, name: str) -> bool:
        """Whether the loss depends on the weight at all."""
        return self.radial[name] is not None

    def disagreements(self, verdicts: Sequence[Verdict]) -> list[str]:
        """Names of weights whose verdict brute force contradicts.

        A loss that does not change contradicts a «no» only if the weight affects it, and only in other
        directions than the scale: a branch that contributes nothing cannot change it, and one that
        contributes next to nothing (RetinaNet's last level at its small initial weights) changes it by
        less than the tolerance.
        """
        wrong = []
        for verdict in verdicts:
            change = self.loss_change[verdict.name]
            unchanged = change is not None and change <= self.tolerance
            if verdict.scale_invariant:
                contradicted = not unchanged
            else:
                radial = self.radial[verdict.name]
                contradicted = unchanged and radial is not None and radial <= _RADIAL_TOLERANCES[self.dtype]
            if contradicted:
                wrong.append(verdict.name)
        return wrong


def verify(
    model: nn.Module,
    batch: dict[str, Any],
    verdicts: Sequence[Verdict],
    seed: int = 0,
    quick: bool = False,
    progress: Callable[[list[str]], Iterable[str]] = iter,
) -> Verification:
    """Hold verdicts against brute force; works on a copy of the model.

    In float64 where the model can (some mix float32 priors into their losses), with the ε of every norm
    layer made negligible, its γ and β random, weights that start at zero no longer zero, and biases no longer
    negligible: a branch whose γ is 0 affects no loss, and a bias of 0 follows any scale.

    Args:
        model: The model of the verdicts.
        batch: The batch to compute the loss of.
        verdicts: What to check.
        seed: Of γ, β and the factors.
        quick: Multiply a weight that is not scale-invariant only where the loss's gradient does not show
            already that the loss changes with its scale.
        progress: Wraps the list of weights that are tried one by one.

    Raises:
        ConfigError: Two forwards with the same random numbers give two losses.
    """
    for dtype in (torch.float64, torch.float32):
        subject = _prepare(model, dtype, seed)
        try:
            with default_dtype(dtype):
                loss = repeatable_loss(subject, batch, dtype)
                _wake_biases(subject, loss)
                reference = float(loss().detach())
        except (RuntimeError, TypeError, IndexError) as error:
            if dtype is torch.float64:
                continue
            raise ConfigError(f"the loss of the model cannot be computed: {error}") from error
        break
    generator = torch.Generator().manual_seed(seed)
    with default_dtype(dtype):
        again = float(loss().detach())
        if not math.isclose(reference, again, rel_tol=1e-12):
            raise ConfigError(
                f"the loss is not repeatable ({reference!r}, then {again!r}), so nothing can be verified"
            )
        radial = _radial_shares(subject, loss, verdicts)
        parameters = dict(subject.named_parameters())

        def change_of_loss(chosen: Sequence[Verdict]) -> float:
            with _multiplied(parameters, chosen, generator), torch.no_grad():
                change = abs(float(loss()) - reference) / max(abs(reference), 1e-12)
            return change if math.isfinite(change) else math.inf

        tolerance = _TOLERANCES[dtype]
        invariant = [v for v in verdicts if v.scale_invariant]
        together = change_of_loss(invariant) if invariant else 0.0
        loss_change = {v.name: together if v.scale_invariant else None for v in verdicts}
        by_name = {v.name: v for v in verdicts if not v.scale_invariant or together > tolerance}
        if quick:
            enough = _RADIAL_TOLERANCES[dtype]
            by_name = {n: v for n, v in by_name.items() if v.scale_invariant or (radial[n] or 1) <= enough}
        for name in progress(list(by_name)):
            loss_change[name] = change_of_loss([by_name[name]])
    return Verification(dtype, tolerance, loss_change, radial)


def _prepare(model: nn.Module, dtype: torch.dtype, seed: int) -> nn.Module:
    """A copy whose norm layers have a negligible ε and random γ and β, and no weight only zeros."""
    subject = copy_in(model, dtype)
    with seeded(seed), torch.no_grad():
        for module in subject.modules():
            if isinstance(module, NORM_LAYERS):
                module.eps = NEGLIGIBLE_EPS
                if module.weight is not None:
                    module.weight.uniform_(0.5, 1.5)
                if module.bias is not None:
                    module.bias.normal_(0.0, 0.1)
        for parameter in subject.parameters():
            # Offsets of deformable convolutions and last layers of branches often start at zero.
            if parameter.dim() > 1 and not parameter.any():
                parameter.normal_(0.0, 0.01)
    return subject


@torch.no_grad()
def _wake_biases(model: nn.Module, loss: Callable[[], Tensor]) -> None:
    """Make each bias that is next to nothing beside what its layer computes a tenth of that, at random."""

    def wake(module: nn.Module, args: Any, output: Any) -> None:
        if not isinstance(output, Tensor) or not output.numel():
            return
        size = output.square().mean().sqrt()
        if bool(torch.isfinite(size)) and bool(module.bias.abs().max() < 1e-2 * size):
            module.bias.copy_(torch.randn(module.bias.shape) * 0.1 * size)

    hooks = [
        module.register_forward_hook(wake)
        for module in model.modules()
        if isinstance(getattr(module, "bias", None), nn.Parameter) and not isinstance(module, NORM_LAYERS)
    ]
    loss()
    for hook in hooks:
        hook.remove()


def _radial_shares(
    model: nn.Module, loss: Callable[[], Tensor], verdicts: Sequence[Verdict]
) -> dict[str, float | None]:
    """By weight, how much of the loss's gradient changes the scale of its filters, or groups of filters.

    That is ‖(⟨w_i, g_i⟩ / ‖w_i‖)_i‖ / ‖g‖ over its filters (groups) w_i and their gradients g_i: 0 where the
    loss does not change with the scale of any of them, 1 where it changes with nothing else; None without a
    gradient.
    """
    parameters = dict(model.named_parameters())
    trained = {name: p.requires_grad for name, p in parameters.items()}
    model.requires_grad_(True)
    model.zero_grad()
    loss().backward()
    shares: dict[str, float | None] = {}
    for verdict in verdicts:
        weight = parameters[verdict.name]
        if weight.grad is None or not weight.numel() or not bool(weight.grad.abs().max() > 0):
            shares[verdict.name] = None
            continue
        w, inside = filter_view(weight.detach(), verdict.transposed_groups)
        g, _ = filter_view(weight.grad, verdict.transposed_groups)
        products = _by_group((w * g).sum(dim=inside).flatten(), verdict)
        norms = _by_group(w.square().sum(dim=inside).flatten(), verdict).sqrt()
        shares[verdict.name] = float(
            (products / norms.clamp(min=torch.finfo(w.dtype).tiny)).norm() / g.norm()
        )
    model.zero_grad()
    for name, parameter in parameters.items():
        parameter.requires_grad_(trained[name])
    return shares


def _by_group(values: Tensor, verdict: Verdict) -> Tensor:
    """Sums over the filters of each group; ``(out,)`` becomes ``(groups,)``."""
    if verdict.groups is None:
        return values
    index = torch.tensor(verdict.groups, device=values.device)
    return values.new_zeros(number_of_groups(verdict.groups)).index_add_(0, index, values)


@contextmanager
def _multiplied(
    parameters: dict[str, nn.Parameter],
    chosen: Sequence[Verdict],
    generator: torch.Generator,
) -> Iterator[None]:
    """The filters, or groups of them, of some weights multiplied by 1/4, 1/2, 2 or 4 at random, for a while.

    Powers of two round nothing: rounding alone may flip which of two equal pixels or boxes a loss picks
    (online hard example mining does), and a loss that jumps says nothing about the scale.
    """
    saved = {v.name: parameters[v.name].detach().clone() for v in chosen}
    for verdict in chosen:
        weight = parameters[verdict.name]
        own = range(number_of_filters(weight.shape, verdict.transposed_groups))
        groups = list(own if verdict.groups is None else verdict.groups)
        # Few groups get different factors, so that one which should be larger shows.
        drawn = torch.randperm(max(groups, default=-1) + 1, generator=generator) % len(_FACTORS)
        factors = _FACTORS[drawn][groups]
        rescale_(weight, factors.to(weight), verdict.transposed_groups)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, values in saved.items():
                parameters[name].copy_(values)
