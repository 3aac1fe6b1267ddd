"""mmengine optimizer wrappers that know scale-invariant weights, and the ones that rescale them.

===================  =======================================  ==========================
                     finds them, applies their weight decay   and rescales them
===================  =======================================  ==========================
full precision       ``ScaleInvariantOptimWrapper``           ``WRSOptimWrapper``
mixed precision      ``AmpScaleInvariantOptimWrapper``        ``AmpWRSOptimWrapper``
===================  =======================================  ==========================

The wrappers of other methods are in :mod:`wrs_mm.engine.step_rules`.
All need ``constructor='ScaleInvariantOptimWrapperConstructor'``, which tells them the model.

One training step, from the Runner to the equations:

1. ``model.train_step`` enters ``optim_context``. In the first step the method watches the forward and finds
   the scale-invariant weights; from the second on the context is mmengine's own.
2. ``update_params``: the loss goes backward, and the optimizer makes its step.
3. After each such step the method acts (:func:`~wrs_mm.rescaling.after_step.after_step`): with WRS, rescale
   and fold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from typing import Any, Protocol

from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn
from torch.optim import Optimizer

from wrs_mm.errors import OptionError
from wrs_mm.rescaling import RescaleOptions, ScaleInvariantDecay, ScaleInvariantWeights, WeightRescaler
from wrs_mm.rescaling.options import SELECTION

_STATE = "wrs"
"""The key of the method's state in a checkpoint, beside the optimizer's own."""


class Method(Protocol):
    """What a wrapper holds: it finds the scale-invariant weights, and then acts on them by itself."""

    invariant_weights: ScaleInvariantWeights

    def observing(self) -> AbstractContextManager[None]:
        """The context of the first training forward, in which the weights are found."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs of it."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from it; called before the optimizer's state is loaded."""


class MethodOptimWrapper(OptimWrapper):
    """An OptimWrapper that holds a method: lets it watch the first forward, saves it with the optimizer.

    Args:
        method: Made for the wrapper's optimizer.
        **kwargs: The OptimWrapper's own arguments.
    """

    @classmethod
    def default_decay_mult(cls, config: Mapping[str, Any]) -> float:
        """Factor on the weight decay of scale-invariant weights where ``paramwise_cfg`` names none.

        Args:
            config: The wrapper's own arguments.
        """
        return 1.0

    def __init__(self, method: Method, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.method = method
        # On the instance, where it hides the class's own, and only until the weights are found.
        self.__dict__["optim_context"] = self._observed_optim_context

    @contextmanager
    def _observed_optim_context(self, model: nn.Module) -> Iterator[None]:
        with type(self).optim_context(self, model), self.method.observing():
            yield
        self._stop_observing()
        print_log(_describe(self.method.invariant_weights), logger="current")

    def _stop_observing(self) -> None:
        """From now on ``optim_context`` is the class's own, that is mmengine's."""
        self.__dict__.pop("optim_context", None)

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state, and under ``'wrs'`` the method's."""
        return {**super().state_dict(), _STATE: self.method.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state of :meth:`state_dict`.

        Raises:
            OptionError: The state is of a run without this wrapper or with other options, or of another
                version of wrs-mm.
            ModelError: The state is of another model.
        """
        state_dict = dict(state_dict)
        own = state_dict.pop(_STATE, None)
        if own is None:
            raise OptionError(
                f"the checkpoint's optimizer state is of a run without {type(self).__name__}: "
                "begin a new run from its weights with load_from instead of resuming it"
            )
        # Which group a weight is in decides where its state belongs: the method moves it first.
        self.method.load_state_dict(own)
        if self.method.invariant_weights.found:
            self._stop_observing()
        super().load_state_dict(state_dict)


@OPTIM_WRAPPERS.register_module()
class ScaleInvariantOptimWrapper(MethodOptimWrapper):
    """OptimWrapper that applies ``scale_invariant_decay_mult``.

    Args:
        optimizer: The optimizer.
        model: The model that trains; from the constructor, as is ``decay_mult``.
        decay_mult: Factor on the weight decay of its scale-invariant weights.
        scale_invariance: ``granularity`` and ``frozen_bn`` of :class:`~wrs_mm.rescaling.RescaleOptions`.
        **kwargs: The OptimWrapper's own arguments.

    Raises:
        OptionError: The constructor is another, an option is unknown, or a value out of its range.
        ModelError: The model is sharded otherwise than along its filters.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        model: nn.Module | None = None,
        decay_mult: float = 1.0,
        scale_invariance: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        options = RescaleOptions.from_dict(scale_invariance or {}, "scale_invariance", SELECTION)
        method = ScaleInvariantDecay(
            given_model(model, type(self)),
            optimizer,
            granularity=options.granularity,
            frozen_bn=options.frozen_bn,
            decay_mult=decay_mult,
        )
        super().__init__(method, optimizer=optimizer, **kwargs)


@OPTIM_WRAPPERS.register_module()
class WRSOptimWrapper(MethodOptimWrapper):
    """OptimWrapper with weight rescaling after each update of the optimizer.

    Args:
        optimizer: The optimizer.
        model: The model that trains; from the constructor, as is ``decay_mult``.
        decay_mult: Factor on the weight decay of its rescaled weights.
        wrs: Options of :class:`~wrs_mm.rescaling.RescaleOptions`: ``granularity``, ``target``,
            ``target_schedule``, ``interval``, ``frozen_bn``, ``min_norm``.
        **kwargs: The OptimWrapper's own arguments.

    Raises:
        OptionError: The constructor is another, an option is unknown, or a value out of its range.
        ModelError: The model is sharded otherwise than along its filters.
    """

    @classmethod
    def default_decay_mult(cls, config: Mapping[str, Any]) -> float:
        """0, or 1 where targets follow weight decay."""
        return _wrs_options(config.get("wrs")).decay_mult

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        model: nn.Module | None = None,
        decay_mult: float | None = None,
        wrs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        options = _wrs_options(wrs)
        method = WeightRescaler(
            given_model(model, type(self)), optimizer, decay_mult=decay_mult, **asdict(options)
        )
        super().__init__(method, optimizer=optimizer, **kwargs)


class NeedsGPU:
    """Mixin: mixed precision without an accelerator is the caller's mistake, not an assertion."""

    def __init__(self, **kwargs: Any) -> None:
        try:
            super().__init__(**kwargs)
        except AssertionError as error:
            if "only available" not in str(error):
                raise
            full = type(self).__name__.removeprefix("Amp")
            raise OptionError(f"{type(self).__name__} needs a GPU: use type='{full}' here") from None


@OPTIM_WRAPPERS.register_module()
class AmpScaleInvariantOptimWrapper(NeedsGPU, ScaleInvariantOptimWrapper, AmpOptimWrapper):
    """:class:`ScaleInvariantOptimWrapper` in mixed precision."""


@OPTIM_WRAPPERS.register_module()
class AmpWRSOptimWrapper(NeedsGPU, WRSOptimWrapper, AmpOptimWrapper):
    """:class:`WRSOptimWrapper` in mixed precision."""


def _wrs_options(wrs: object) -> RescaleOptions:
    """What a config says by ``wrs``."""
    if isinstance(wrs, Mapping) and "other_decay" in wrs:
        raise OptionError(
            "wrs has no option 'other_decay': the factor on the weight decay of all other parameters is "
            "paramwise_cfg=dict(other_decay_mult=…) in optim_wrapper; 0 switches it off, 1 is the default"
        )
    return RescaleOptions.from_dict(wrs or {}, "wrs")


def given_model(model: nn.Module | None, wrapper: type) -> nn.Module:
    """The model that the constructor gave; mmengine's own constructor gives none."""
    if model is None:
        raise OptionError(
            f"{wrapper.__name__} needs constructor='ScaleInvariantOptimWrapperConstructor' beside its type "
            "in optim_wrapper"
        )
    return model


def _describe(invariant_weights: ScaleInvariantWeights) -> str:
    """A line for the log: how many weights were found, and which were not used at all."""
    unused = [v.name for v in invariant_weights.verdicts if not v.used]
    count = sum(v.scale_invariant for v in invariant_weights.verdicts)
    text = (
        f"{count} of {len(invariant_weights.verdicts)} convolution and linear weights are scale-invariant, "
        f"{len(invariant_weights.selected)} are selected"
    )
    if unused:
        text += f"; not used in the first loss, and left as they are: {', '.join(unused)}"
    return text
