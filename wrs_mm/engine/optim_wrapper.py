"""mmengine optimizer wrappers that know scale-invariant weights, and the ones that rescale them.

===================  =======================================  ==========================
                     finds them, applies their weight decay   and rescales them
===================  =======================================  ==========================
full precision       ``ScaleInvariantOptimWrapper``           ``WRSOptimWrapper``
mixed precision      ``AmpScaleInvariantOptimWrapper``        ``AmpWRSOptimWrapper``
===================  =======================================  ==========================

All need ``constructor='ScaleInvariantOptimWrapperConstructor'``, which tells them the model.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.logging import print_log
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

from wrs_mm.errors import ModelError, OptionError
from wrs_mm.rescaling import ScaleInvariantWeights, WeightRescaler
from wrs_mm.rescaling.optimizer import move_to_partner_groups
from wrs_mm.rescaling.options import check_rescaler_options

CONSTRUCTOR = "ScaleInvariantOptimWrapperConstructor"
STATE = "wrs"
"""The key of a wrapper's state in a checkpoint, beside the optimizer's own."""


class ScaleInvariance:
    """Mixin for an OptimWrapper: finds the scale-invariant weights in the first training forward.

    Args:
        scale_invariance: Options of :class:`~wrs_mm.rescaling.ScaleInvariantWeights`:
            ``granularity`` and ``frozen_bn``.
        **kwargs: The OptimWrapper's own arguments.

    Raises:
        OptionError: An option is unknown or its value out of its range.
    """

    default_decay_mult = 1.0
    """Factor on the weight decay of scale-invariant weights where ``paramwise_cfg`` names none."""

    def __init__(self, *, scale_invariance: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._options = dict(scale_invariance or {})
        check_options("scale_invariance", self._options, ScaleInvariantWeights)
        self.weights: ScaleInvariantWeights | None = None
        self.decay_mult = self.default_decay_mult

    def attach(self, model: nn.Module, decay_mult: float) -> None:
        """Take note of the model whose parameters the optimizer has (called by the constructor).

        Raises:
            ModelError: The model is sharded.
        """
        self.decay_mult = decay_mult
        self.weights = ScaleInvariantWeights(model, **self._options)

    def _known_weights(self) -> ScaleInvariantWeights:
        if self.weights is None:
            name = type(self).__name__
            raise OptionError(f"{name} needs constructor='{CONSTRUCTOR}' beside its type in optim_wrapper")
        return self.weights

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Context of a training forward; the first one is observed."""
        weights = self._known_weights()
        first = not weights.found
        with super().optim_context(model), self._observing():  # type: ignore[misc]
            yield
        if first:
            print_log(describe(weights), logger="current")

    @contextmanager
    def _observing(self) -> Iterator[None]:
        weights = self._known_weights()
        first = not weights.found
        with weights.observing():
            yield
        if first:
            self._move()

    def _move(self) -> None:
        weights = self._known_weights()
        if self.decay_mult != 1 and not weights.selected:
            raise ModelError(
                "scale_invariant_decay_mult has nothing to act on: no weight of this model is "
                "scale-invariant; `wrs-mm audit CONFIG` says why for each"
            )
        parameters = dict(weights.model.named_parameters())
        move_to_partner_groups(self.optimizer, [parameters[v.name] for v in weights.selected])  # type: ignore[attr-defined]

    def _own_state(self) -> dict[str, Any]:
        return {"found": self._known_weights().state_dict()}

    def _load_own_state(self, state: dict[str, Any]) -> None:
        weights = self._known_weights()
        weights.load_state_dict(state["found"])
        if weights.found:
            self._move()

    def state_dict(self) -> dict[str, Any]:
        """The optimizer's state, and under ``'wrs'`` what was found."""
        state = super().state_dict()  # type: ignore[misc]
        state[STATE] = self._own_state()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state of :meth:`state_dict`.

        Raises:
            OptionError: The state is of a run without this wrapper, or with other options.
        """
        state_dict = dict(state_dict)
        own = state_dict.pop(STATE, None)
        if own is None or ("options" in own) != ("options" in self._own_state()):
            raise OptionError(
                f"the checkpoint's optimizer state is of a run without {type(self).__name__}: "
                "begin a new run from its weights with load_from instead of resuming it"
            )
        # Which group a weight is in decides where its state belongs: move first, load then.
        self._load_own_state(own)
        super().load_state_dict(state_dict)  # type: ignore[misc]


class Rescaling(ScaleInvariance):
    """Mixin for an OptimWrapper: weight rescaling after each update of the optimizer.

    Args:
        wrs: Options of :class:`~wrs_mm.rescaling.WeightRescaler`: ``granularity``, ``target``, ``interval``,
            ``frozen_bn``, ``min_norm``; and ``other_decay`` (default True): False switches weight decay off
            on all parameters, not only on the rescaled ones.
        **kwargs: The OptimWrapper's own arguments.

    Raises:
        OptionError: An option is unknown or its value out of its range.
    """

    default_decay_mult = 0.0

    def __init__(self, *, wrs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._options = wrs_options(wrs)
        self.rescaler: WeightRescaler | None = None

    def attach(self, model: nn.Module, decay_mult: float) -> None:
        """Take note of the model whose parameters the optimizer has (called by the constructor).

        Raises:
            ModelError: The model is sharded.
        """
        self.decay_mult = decay_mult
        self.rescaler = WeightRescaler(
            model,
            self.optimizer,  # type: ignore[attr-defined]
            decay_mult=decay_mult,
            **self._options,
        )
        self.weights = self.rescaler.weights

    def _known_rescaler(self) -> WeightRescaler:
        self._known_weights()
        assert self.rescaler is not None  # set together with the weights
        return self.rescaler

    @contextmanager
    def _observing(self) -> Iterator[None]:
        with self._known_rescaler().observing():
            yield

    def _own_state(self) -> dict[str, Any]:
        return self._known_rescaler().state_dict()

    def _load_own_state(self, state: dict[str, Any]) -> None:
        self._known_rescaler().load_state_dict(state)


class AmpChecked:
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
class ScaleInvariantOptimWrapper(ScaleInvariance, OptimWrapper):
    """OptimWrapper that applies ``scale_invariant_decay_mult``. Arguments: see :class:`ScaleInvariance`."""


@OPTIM_WRAPPERS.register_module()
class AmpScaleInvariantOptimWrapper(AmpChecked, ScaleInvariance, AmpOptimWrapper):
    """The same in mixed precision."""


@OPTIM_WRAPPERS.register_module()
class WRSOptimWrapper(Rescaling, OptimWrapper):
    """OptimWrapper with weight rescaling. Arguments: see :class:`Rescaling`."""


@OPTIM_WRAPPERS.register_module()
class AmpWRSOptimWrapper(AmpChecked, Rescaling, AmpOptimWrapper):
    """The same in mixed precision."""


def wrs_options(wrs: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options of ``wrs=dict(…)`` that are the rescaler's own.

    Raises:
        OptionError: One is unknown or out of its range, or ``wrs`` is no dict.
    """
    options = check_options("wrs", wrs or {}, WeightRescaler, extra=("other_decay",), own=("decay_mult",))
    other_decay(options)
    options.pop("other_decay", None)
    check_rescaler_options(**options)
    return options


def other_decay(wrs: Mapping[str, Any] | None) -> bool:
    """The option ``wrs=dict(other_decay=…)``: whether other parameters keep their weight decay.

    Raises:
        OptionError: It is neither True nor False.
    """
    value = wrs.get("other_decay", True) if isinstance(wrs, Mapping) else True
    if not isinstance(value, bool):
        raise OptionError(f"other_decay must be True or False, not {value!r}")
    return value


def check_options(
    key: str, options: object, target: type, extra: tuple[str, ...] = (), own: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A copy of the options, after a check that each is an argument of the class (beside ``extra``)."""
    if not isinstance(options, Mapping):
        raise OptionError(f"{key} must be a dict of options, not {options!r}")
    names = [*inspect.signature(target).parameters, *extra]
    known = [name for name in names if name not in ("model", "optimizer", *own)]
    for name in options:
        if name not in known:
            raise OptionError(f"{key} has no option {name!r}; its options are {', '.join(known)}")
    return dict(options)


def describe(weights: ScaleInvariantWeights) -> str:
    """A line for the log: how many weights were found, and which were not used at all."""
    unused = [v.name for v in weights.verdicts if not v.used]
    invariant = sum(v.scale_invariant for v in weights.verdicts)
    text = (
        f"{invariant} of {len(weights.verdicts)} convolution and linear weights are scale-invariant, "
        f"{len(weights.selected)} are selected"
    )
    if unused:
        text += f"; not used in the first loss, and left as they are: {', '.join(unused)}"
    return text
