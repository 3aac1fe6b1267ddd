"""Watches what a training does to its scale-invariant weights, with any regularizer and with none."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.registry import HOOKS
from torch import nn

from wrs_mm.engine.hooks.dynamics_file import Contents, DynamicsFile
from wrs_mm.errors import OptionError
from wrs_mm.rescaling import ScaleInvariantDecay, ScaleInvariantWeights
from wrs_mm.rescaling.dynamics import QUANTITIES, UpdateWatch, WatchedWeight, is_sgd
from wrs_mm.rescaling.equilibrium import law_of
from wrs_mm.rescaling.ruled_steps import RuledSteps
from wrs_mm.rescaling.sharding import require_whole
from wrs_mm.values import is_whole_number

_SHOWN = (
    *("norm", "norm_mean", "norm_min", "norm_max", "effective_lr", "turn", "turn_average", "cosine"),
    *("growth", "predicted_growth", "zero", "nonfinite"),
)
"""What goes to the visualizer, of each stage; the file has everything of each weight."""


_EXTREMES = (("norm_min", np.fmin), ("norm_max", np.fmax), ("cosine", np.fmax))
"""What is least or largest over the weights of a stage."""

_GEOMETRIC = "effective_lr"
"""What goes over powers of ten between weights."""

LOOKS = 4
"""How many updates of each interval are looked at for the average turn."""

_TURNS = "weight_dynamics"
"""In a checkpoint, the turns since the last report."""


@HOOKS.register_module()
class WeightDynamicsHook(Hook):
    """Every ``interval`` updates, measures one: norms, effective learning rates, turns, growth.

    See :data:`wrs_mm.rescaling.dynamics.QUANTITIES`. Means over the weights of each stage of the network go
    to mmengine's visualizer (and with it to TensorBoard, Weights & Biases, MLflow), as
    ``dynamics/STAGE/QUANTITY``; all quantities of each weight to ``weight_dynamics`` in the work dir
    (:mod:`.dynamics_file`). The scale-invariant weights are those of the regularizer; where there is none,
    they are found in the first forward.

    Of three further updates in each interval it looks at the turns alone, for their average. Between what it
    measures it keeps nothing of the weights and does nothing.

    Args:
        interval: In updates; a positive whole number.
        frozen_bn: ``'fold'`` watches weights before frozen BN too, where no regularizer has chosen.

    Raises:
        OptionError: The interval is not positive.
    """

    # The iteration's numbers are in the visualizer before the logger writes them out.
    priority = "NORMAL"

    def __init__(self, interval: int = 50, frozen_bn: str = "skip") -> None:
        if not is_whole_number(interval) or interval < 1:
            raise OptionError(
                f"WeightDynamicsHook: interval must be a positive whole number, not {interval!r}"
            )
        self.interval = interval
        self.frozen_bn = frozen_bn
        self._found: ScaleInvariantWeights | None = None
        self._watch: UpdateWatch | None = None
        self._file: DynamicsFile | None = None
        self._due = ""
        self._kept: dict[str, Any] = {}

    def before_train(self, runner: Any) -> None:
        """Take the regularizer's weights, or see to it that the first forward is observed.

        Raises:
            OptionError: The training has several optimizers.
            ModelError: Processes hold parts of the weights.
        """
        require_whole(runner.model, type(self).__name__)
        if isinstance(runner.optim_wrapper, OptimWrapperDict):
            raise OptionError("WeightDynamicsHook watches one optimizer, and this training has several")
        method = getattr(runner.optim_wrapper, "method", None)
        if method is not None:
            self._found = method.invariant_weights
            return
        self._found = ScaleInvariantWeights(runner.model, frozen_bn=self.frozen_bn)
        _observe_first_forward(runner.optim_wrapper, self._found, lambda: self._ask_if_due(runner))

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Ask for the update to come, if it is its turn."""
        # All processes have the same weights: one measures.
        self._due = self._what_is_due(runner.iter + 1) if is_main_process() else ""
        self._ask_if_due(runner)

    def _what_is_due(self, update: int) -> str:
        """``all``, ``turns`` or nothing, of an update counted from 1."""
        place = update % self.interval
        if place == 0:
            return "all"
        looks = (round(self.interval * look / LOOKS) for look in range(1, LOOKS))
        return "turns" if place in looks else ""

    def _ask_if_due(self, runner: Any) -> None:
        """Ask, as soon as the weights are known: a run that goes on without a method's state looks again."""
        if not self._due or self._found is None or not self._found.found:
            return
        if self._watch is None:
            self._watch, self._file = self._begin(runner, self._found)
        if self._due == "all":
            self._watch.ask()
        else:
            self._watch.ask_for_turns()
        self._due = ""

    def _begin(self, runner: Any, found: ScaleInvariantWeights) -> tuple[UpdateWatch, DynamicsFile]:
        parameters = dict(found.model.named_parameters())
        weights = [WatchedWeight(v.name, parameters[v.name], v.transposed_groups) for v in found.watched]
        optimizer, method = runner.optim_wrapper.optimizer, getattr(runner.optim_wrapper, "method", None)
        if not weights:
            runner.logger.warning(
                "WeightDynamicsHook watches nothing: no scale-invariant weight trains here. Where BN is "
                "frozen, frozen_bn='fold' watches the weights before it; `wrs-mm audit CONFIG` says why."
            )
        rates = method.rates if isinstance(method, RuledSteps) else None
        watch = UpdateWatch(optimizer, weights, whole_step=rates is not None, rates=rates)
        watch.restore(self._kept)
        names = [weight.name for weight in weights]
        contents = Contents(
            weights=names,
            stages=[stage_of(name) for name in names],
            quantities=list(QUANTITIES),
            sgd=is_sgd(optimizer),
            # Of weights that something else moves as well, no law is known.
            law=law_of(optimizer) if method is None or isinstance(method, ScaleInvariantDecay) else "",
        )
        return watch, DynamicsFile.begin(Path(runner.work_dir), contents, after=runner.iter)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Write what was measured."""
        measured = self._watch.take() if self._watch is not None else None
        if measured is None or self._file is None:
            return
        values = measured.numpy()
        self._file.append(runner.iter + 1, values)
        runner.visualizer.add_scalars(
            {
                f"dynamics/{stage}/{quantity}": value
                for stage, row in by_stage(values, self._file.contents.stages).items()
                for quantity in _SHOWN
                # There is no prediction for others than SGD.
                if not math.isnan(value := float(row[QUANTITIES.index(quantity)]))
            },
            step=runner.iter + 1,
        )

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Add the turns since the last report."""
        if self._watch is not None and (state := self._watch.state()):
            checkpoint[_TURNS] = state

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Keep those of a training that is resumed until the weights are known."""
        self._kept = checkpoint.get(_TURNS, {}) if runner._resume else {}

    def after_train(self, runner: Any) -> None:
        """Leave the optimizer alone."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None


def stage_of(name: str) -> str:
    """The stage of the network that a weight is in: ``backbone.layer1``, ``backbone.stem``, ``neck``, ….

    Example:
        >>> [stage_of(name) for name in ("backbone.layer2.0.conv1.weight", "backbone.conv1.weight")]
        ['backbone.layer2', 'backbone.stem']
    """
    module, *rest = name.split(".")[:-1]
    if module != "backbone" or not rest:
        return module
    # What is no sequence of blocks stands before the first: the stem's convolutions.
    return f"backbone.{rest[0]}" if len(rest) > 2 else "backbone.stem"


def by_stage(values: np.ndarray[Any, Any], stages: list[str]) -> dict[str, np.ndarray[Any, Any]]:
    """Means over the weights of each stage, in the order in which the stages first come up.

    Of the least norm the least, of the largest norm and cosine the largest, of the effective learning rate
    the geometric mean, as in the report.

    Args:
        values: ``(weights, quantities)``.
        stages: Of each weight.
    """
    means = {}
    for stage in dict.fromkeys(stages):
        its = values[[s == stage for s in stages]]
        measured = ~np.isnan(its)
        with np.errstate(invalid="ignore"):  # NaN of what no weight of the stage has
            means[stage] = np.where(measured, its, 0).sum(0) / measured.sum(0)
        for quantity, extreme in _EXTREMES:
            column = QUANTITIES.index(quantity)
            means[stage][column] = extreme.reduce(its[:, column])
        rates = its[:, QUANTITIES.index(_GEOMETRIC)]
        rates = rates[rates > 0]
        means[stage][QUANTITIES.index(_GEOMETRIC)] = np.exp(np.log(rates).mean()) if rates.size else math.nan
    return means


def _observe_first_forward(wrapper: Any, found: ScaleInvariantWeights, then: Callable[[], None]) -> None:
    """Let the wrapper's first ``optim_context`` observe, as ours do themselves; call a function after it."""

    @contextmanager
    def observed(model: nn.Module) -> Iterator[None]:
        with type(wrapper).optim_context(wrapper, model), found.observing():
            yield
        wrapper.__dict__.pop("optim_context", None)
        then()

    # On the instance, where it hides the class's own, and only until the weights are found.
    wrapper.__dict__["optim_context"] = observed
