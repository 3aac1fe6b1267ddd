"""What one update does to scale-invariant filters: norms, effective learning rate, turn and growth.

For a filter w with gradient g, update ``w' = w − η u``, and the loss's scale-invariance:

* ``⟨w, g⟩ = 0``, the gradient stands at a right angle to the filter (Liu et al., arXiv 2102.03497, version
  1), so that ``cosine`` is zero but for rounding and for the ε of norm layers;
* plain SGD without weight decay therefore lets norms grow, by ``η² ‖g‖²`` in ``‖w‖²``. With weight decay λ
  (L2) and momentum α, averaged over many updates, ``‖w‖²`` changes by
  ``(η / (1 − α))² ‖g‖² − 2 η λ / (1 − α) ‖w‖²`` (Wan et al., arXiv 2006.08419; with dampening τ, η is
  ``η (1 − τ)``), where gradients of successive updates are uncorrelated: ``predicted_growth``, as a share of
  ``‖w‖²``;
* g goes with ``1 / ‖w‖``, so that an update turns the filter by what ``η / ‖w‖²`` says for SGD, and
  ``η / ‖w‖`` for optimizers whose update has the same size whatever the gradient's: ``effective_lr``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from wrs_mm.rescaling.after_step import around_step
from wrs_mm.rescaling.functional import filter_view, norm_dtype

QUANTITIES = (
    "norm",
    "norm_mean",
    "norm_min",
    "norm_max",
    "effective_lr",
    "turn",
    "turn_10",
    "turn_50",
    "turn_90",
    "turn_average",
    "cosine",
    "unit_gradient",
    "growth",
    "predicted_growth",
    "zero",
    "nonfinite",
    "norm_4",
    "lr",
    "weight_decay",
    "momentum",
)
"""What is measured of each weight, over its filters that are neither zero nor non-finite:

root mean square, mean, least and largest norm; effective learning rate of a filter of the root mean square
norm (where weight decay takes the norm of one filter to zero, a mean over filters says nothing of the
others); root mean square, 10 %, 50 % and 90 % quantile of the angle in radians by which the update turned a
filter, and the mean of the former over all updates that were looked at since the last report; largest
``|⟨w, g⟩| / (‖w‖ ‖g‖)``; root mean square of ``‖w‖ ‖g‖``, the gradient's norm at unit norm; mean of ``‖w'‖²
/ ‖w‖² − 1``, and of what is predicted for it (NaN for others than plain SGD, and where a step rule makes
another update of SGD's); the share of all filters that are exactly zero, and that are not finite; the
fourth root of the mean fourth power of the norm, which :mod:`wrs_mm.rescaling.equilibrium` speaks of; and
what the optimizer had: learning rate (where a step rule multiplies updates, that with which a filter of the
root mean square norm turns as all do), weight decay, and momentum (or Adam's β₁).
"""


@dataclass(frozen=True)
class WatchedWeight:
    """A scale-invariant weight that is watched.

    Attributes:
        name: Its name in the model.
        parameter: The weight.
        transposed_groups: As in :func:`~wrs_mm.rescaling.functional.filter_view`.
    """

    name: str
    parameter: Tensor
    transposed_groups: int = 0


class UpdateWatch:
    """Measures single updates of an optimizer, those that it is asked for.

    What was measured is of the optimizer's update alone: what a method does after it, such as a rescale, is
    in the next norms. An optimizer whose ``step`` calls its parent's counts as one.

    Args:
        optimizer: The one that trains the weights.
        weights: The weights.
        whole_step: Measure from before to after all that stands around the optimizer's step: of a step rule,
            which sets weights aside for the optimizer's own update and then makes another of it.
        rates: Gives, by a weight's name, the factors that such a rule puts on its filters' learning rate
            (:meth:`~wrs_mm.rescaling.ruled_steps.RuledSteps.rates`).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        weights: Sequence[WatchedWeight],
        *,
        whole_step: bool = False,
        rates: Callable[[], Mapping[str, Tensor]] | None = None,
    ) -> None:
        self.optimizer = optimizer
        self._rates = rates
        self.weights = list(weights)
        self._whole_step = whole_step
        self._asked = self._turns_only = False
        self._turns: Tensor | None = None
        self._looks = 0
        self._before: list[tuple[Tensor, Tensor | None, Tensor | None]] = []
        self._measured: Tensor | None = None
        self._undo: tuple[Callable[[], None], ...] = (
            (around_step(optimizer, self._around),)
            if whole_step
            else (
                optimizer.register_step_pre_hook(self._before_step).remove,
                optimizer.register_step_post_hook(self._after_step).remove,
            )
        )

    def ask(self) -> None:
        """Measure the next update."""
        self._asked, self._turns_only = True, False

    def ask_for_turns(self) -> None:
        """Look only at how far the next update turns filters, for the average that is measured next."""
        if not self._asked:
            self._asked = self._turns_only = True

    def take(self) -> Tensor | None:
        """What was measured since it was asked: ``(weights, quantities)`` float64 on the CPU, once."""
        measured, self._measured = self._measured, None
        if measured is not None:
            self._asked, self._before = False, []
            return measured.double().cpu()
        return None

    def state(self) -> dict[str, Any]:
        """The turns since the last report, to go on from; empty where there are none."""
        return {} if self._turns is None else {"turns": self._turns.cpu(), "looks": self._looks}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state` returned."""
        turns = state.get("turns")
        if turns is not None and turns.numel() == len(self.weights):
            self._turns, self._looks = turns.to(self.weights[0].parameter.device), state["looks"]

    def close(self) -> None:
        """Leave the optimizer alone from now on."""
        for undo in self._undo:
            undo()

    @contextmanager
    def _around(self, *_: Any, **__: Any) -> Iterator[None]:
        self._before_step()
        yield
        self._after_step()

    @torch.no_grad()
    def _before_step(self, *_: Any) -> None:
        if self._asked and not self._before:
            whole = not self._turns_only
            rates = self._rates() if whole and self._rates is not None else {}
            self._before = [
                (
                    weight.parameter.detach().clone(),
                    _copied(weight.parameter.grad) if whole else None,
                    rates.get(weight.name),
                )
                for weight in self.weights
            ]

    @torch.no_grad()
    def _after_step(self, *_: Any) -> None:
        if not self._before:
            return
        if self._turns_only:
            pairs = zip(self.weights, self._before, strict=True)
            self._add_turns(torch.stack([_turn(weight, before) for weight, (before, *_) in pairs]))
            self._asked, self._turns_only, self._before = False, False, []
            return
        groups = {id(p): group for group in self.optimizer.param_groups for p in group["params"]}
        predictable = is_plain_sgd(self.optimizer) and not self._whole_step
        inverse_scale = getattr(self.optimizer, "grad_scale", None)
        rows = [
            measure(
                before,
                weight.parameter.detach(),
                None if gradient is None else gradient if inverse_scale is None else gradient / inverse_scale,
                groups.get(id(weight.parameter), {}),
                is_sgd(self.optimizer),
                weight.transposed_groups,
                rate,
                predictable,
            )
            for weight, (before, gradient, rate) in zip(self.weights, self._before, strict=True)
        ]
        measured = torch.stack(rows)
        self._add_turns(measured[:, QUANTITIES.index("turn")])
        assert self._turns is not None
        measured[:, QUANTITIES.index("turn_average")] = self._turns / self._looks
        self._turns, self._looks = None, 0
        self._measured = measured

    def _add_turns(self, turns: Tensor) -> None:
        """``(weights,)``, of one update."""
        self._turns = turns if self._turns is None else self._turns + turns
        self._looks += 1


def is_sgd(optimizer: Optimizer) -> bool:
    """Whether the size of an update goes with that of the gradient, as in SGD and unlike in Adam."""
    return any(base.__name__ in ("SGD", "SGDP") for base in type(optimizer).__mro__)


def is_plain_sgd(optimizer: Optimizer) -> bool:
    """Whether an optimizer makes SGD's update: SGDP projects it, and decays what it projects by less."""
    return any(base.__name__ == "SGD" for base in type(optimizer).__mro__)


def measure(
    before: Tensor,
    after: Tensor,
    gradient: Tensor | None,
    group: Mapping[str, Any],
    sgd: bool,
    transposed_groups: int = 0,
    rate: Tensor | None = None,
    predictable: bool = True,
) -> Tensor:
    """The :data:`QUANTITIES` of one weight in one update.

    Args:
        before: The weight before it; in any memory format.
        after: The weight after it.
        gradient: What the optimizer was given; None where there was none.
        group: Its parameter group: ``lr``, and for SGD ``momentum`` and ``weight_decay``.
        sgd: Whether its optimizer is SGD (:func:`is_sgd`).
        transposed_groups: As in :func:`~wrs_mm.rescaling.functional.filter_view`.
        rate: ``(filters,)`` or ``(1,)`` factors on the learning rate; None for 1.
        predictable: Whether SGD's growth is predicted (:func:`is_plain_sgd`).

    Returns:
        ``(quantities,)`` in float32, or float64 for a float64 weight; NaN where there is nothing to measure.
        The average turn is that of this update.
    """
    w, inside, norms, new_norms, turns = _compared(before, after, transposed_groups)
    dtype = w.dtype
    finite, live = _finite_and_live(norms, new_norms)
    turn = _root_mean_square(turns, live)
    lr = float(group.get("lr", torch.nan))
    power = 2 if sgd else 1
    rates = torch.full_like(norms, lr)
    if rate is not None:
        rates = lr * rate.to(norms).view(norms.shape if rate.numel() == norms.numel() else ())
        # With this one a filter of the root mean square norm has their mean time to turn, 1/rate.
        times = _mean((norms**power / rates).pow(2 / power), live).pow(power / 2)
        lr = float(_root_mean_square(norms, live) ** power / times)
    nothing = torch.full_like(norms, torch.nan)
    cosines = unit_gradients = predicted = nothing
    if gradient is not None:
        g = filter_view(gradient.detach(), transposed_groups)[0].to(dtype)
        gradient_norms = torch.linalg.vector_norm(g, dim=inside)
        unit_gradients = norms * gradient_norms
        cosines = ((w * g).sum(inside).abs() / unit_gradients).where(unit_gradients > 0, 0.0)
        if sgd and predictable:
            undamped = 1 - group.get("dampening", 0.0) if group.get("momentum") else 1.0
            step = rates * undamped / (1 - group.get("momentum", 0.0))
            shrinkage = 2 * step * group.get("weight_decay", 0.0)
            predicted = (step * gradient_norms / norms).square() - shrinkage
    squares = norms.square()
    root = _root_mean_square(norms, live)
    all_ = torch.ones_like(norms, dtype=torch.bool)
    return torch.stack(
        [
            root,
            _mean(norms, live),
            -_largest(-norms, live),
            _largest(norms, live),
            lr / root**power,
            turn,
            *_quantiles(turns, live),
            turn,
            _largest(cosines, live),
            _root_mean_square(unit_gradients, live),
            _mean(new_norms.square() / squares - 1, live),
            _mean(predicted, live),
            _mean((norms == 0).to(dtype), all_),
            _mean((~finite).to(dtype), all_),
            _mean(squares.square(), live).sqrt().sqrt(),
            *(norms.new_full((), float(v)) for v in (lr, group.get("weight_decay", 0.0), _momentum(group))),
        ]
    )


def _momentum(group: Mapping[str, Any]) -> float:
    """The momentum of a parameter group; of Adam's kind β₁."""
    return float(group["betas"][0]) if "betas" in group else float(group.get("momentum", 0.0))


def _turn(weight: WatchedWeight, before: Tensor) -> Tensor:
    """The root mean square angle by which a weight's filters have turned."""
    *_, norms, new_norms, turns = _compared(before, weight.parameter.detach(), weight.transposed_groups)
    return _root_mean_square(turns, _finite_and_live(norms, new_norms)[1])


def _compared(
    before: Tensor, after: Tensor, transposed_groups: int
) -> tuple[Tensor, tuple[int, ...], Tensor, Tensor, Tensor]:
    """A weight's filters before, their dimensions, norms before and after, and angles between, by filter."""
    dtype = norm_dtype(before.dtype)
    w, inside = filter_view(before, transposed_groups)
    w, new = w.to(dtype), filter_view(after, transposed_groups)[0].to(dtype)
    norms, new_norms = (torch.linalg.vector_norm(x, dim=inside) for x in (w, new))
    shape = [1 if d in inside else size for d, size in enumerate(w.shape)]
    # Twice the arc sine of half the chord: exact for the small angles of which an arc cosine sees nothing.
    chord = torch.linalg.vector_norm(new / new_norms.view(shape) - w / norms.view(shape), dim=inside)
    return w, inside, norms, new_norms, 2 * (chord / 2).clamp(max=1).asin()


def _finite_and_live(norms: Tensor, new_norms: Tensor) -> tuple[Tensor, Tensor]:
    """Which filters are finite, and which of them are not zero, before and after an update."""
    finite = norms.isfinite() & new_norms.isfinite()
    return finite, finite & (norms > 0) & (new_norms > 0)


def _root_mean_square(values: Tensor, mask: Tensor) -> Tensor:
    """Of some values; NaN of none."""
    return _mean(values.square(), mask).sqrt()


def _largest(values: Tensor, mask: Tensor) -> Tensor:
    """The largest of some values; NaN of none."""
    return values.where(mask, -torch.inf).amax().where(mask.any(), torch.nan)


def _copied(gradient: Tensor | None) -> Tensor | None:
    return None if gradient is None else gradient.detach().clone()


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of some values; NaN of none."""
    return values.where(mask, 0.0).sum() / mask.sum()


def _quantiles(values: Tensor, mask: Tensor) -> Tensor:
    """10, 50 and 90 % of some values."""
    some = values.where(mask, torch.nan).flatten()
    return torch.nanquantile(some, torch.tensor([0.1, 0.5, 0.9], dtype=some.dtype, device=some.device))
