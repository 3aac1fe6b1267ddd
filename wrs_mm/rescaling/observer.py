"""One forward, watched: every operation hands labels on, or they end.

A weight is scale-invariant if every use of it in the loss goes only into norm layers that normalize each of
its output channels with the batch's own statistics (Liu et al., arXiv 2102.03497: «the network is invariant
to the scale of such a weight vector»). That is decided by watching one forward, not by module types:

1. each filter gets a label (``labels``), which its convolution or linear layer puts on its output;
2. a ``TorchFunctionMode`` sees every operation, whose rule (``rules``) says where the labels go;
3. where they end, in a norm layer or in anything else, is recorded (``recorder``), as the facts of an
   :class:`Observation` (``observation``), which ``merge`` joins over processes;
4. ``judge`` turns the facts into one verdict a weight (``verdicts``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.overrides import TorchFunctionMode

from wrs_mm.rescaling.labels import labels_by_slice, tensors_in
from wrs_mm.rescaling.models import DEFORMABLE, has_class_name, unwrap
from wrs_mm.rescaling.observation import Observation
from wrs_mm.rescaling.recorder import Recorder
from wrs_mm.rescaling.rules import RULES, Operation
from wrs_mm.rescaling.sharding import gathered

_SYNCHRONIZED = {"SyncBatchNorm"}
"""Synchronized norms go through autograd.Function, where nobody sees (torch's own, and mmcv's)."""

_CHECKPOINTING = {"CheckpointFunction"}
"""Only runs a part of the model, which the mode sees."""

_IDENTITIES = {"RegisterPostBackwardFunction", "RegisterPreBackwardFunction"}
"""Return the tensors that they are given: by them ``fully_shard`` learns of the backward."""


class Observer(TorchFunctionMode):
    """Sees the operations of a model's forward, and says of each what it does to labels.

    Args:
        model: The model whose weights are followed.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._recorder = Recorder(model)
        self._names = {id(m): name for name, m in model.named_modules()}
        self._running: list[str] = []  # names of the modules whose forward is running
        self._synchronized = 0  # how many synchronized norms' forwards are running
        self._deformable = 0  # the same of deformable convolutions

    @property
    def observation(self) -> Observation:
        """The facts so far."""
        return self._recorder.observation

    # -- what is seen -----------------------------------------------------------------------------------

    def before_module(self, module: nn.Module, args: tuple) -> None:
        """Forward pre-hook of every module."""
        self._running.append(self._names.get(id(module), type(module).__name__))
        if has_class_name(module, _SYNCHRONIZED):
            if not self._synchronized:
                mean, var = module.running_mean, module.running_var
                frozen = not module.training and mean is not None
                self._recorder.normalize(args[0], mean, var, module.eps, frozen, self._module)
            self._synchronized += 1
        self._deformable += has_class_name(module, DEFORMABLE)

    def after_module(self, module: nn.Module, args: tuple, output: Any) -> None:
        """Forward hook of every module."""
        self._running.pop()
        if has_class_name(module, _SYNCHRONIZED):
            self._synchronized -= 1
        elif has_class_name(module, DEFORMABLE):
            self._deformable -= 1
            if isinstance(output, Tensor) and self._recorder.flow_of(output) is None:
                bias = getattr(module, "bias", None)
                self._recorder.convolve(output, args[0], module.weight, bias, self._module)

    def before_function(self, function: type, args: tuple) -> None:
        """Before every ``autograd.Function``: what it does with its arguments, nobody sees."""
        if self._synchronized or function.__name__ in _CHECKPOINTING | _IDENTITIES:
            return
        for tensor in tensors_in(args):
            if not (self._deformable and self._recorder.is_parameter(tensor)):
                self._recorder.rule_out(tensor, self._in_module(function.__name__))

    def after_function(self, function: type, args: tuple, result: Any) -> None:
        """After every ``autograd.Function``."""
        if function.__name__ in _IDENTITIES:
            for tensor, same in zip(tensors_in(args), tensors_in(result), strict=True):
                flow = self._recorder.flow_of(tensor)
                if flow is not None:
                    self._recorder.label(same, flow)

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not self._synchronized:
            self._see(func, args, kwargs, result)
        return result

    @property
    def _module(self) -> str:
        """The module whose forward is running."""
        return (self._running[-1] if self._running else "") or "the model"

    def _in_module(self, operation: str) -> str:
        return f"`{operation}` in {self._module}"

    # -- one operation ----------------------------------------------------------------------------------

    def _see(self, function: Callable, args: tuple, kwargs: dict, result: Any) -> None:
        """One operation: a layer where labels begin or end, or one that has a rule, or anything else."""
        flows = ((tensor, self._recorder.flow_of(tensor)) for tensor in tensors_in((args, kwargs)))
        inputs = [(tensor, flow) for tensor, flow in flows if flow is not None]
        shapes = [tuple(tensor.shape) for tensor in tensors_in(result)]
        buffers = [tensor for tensor in tensors_in((args, kwargs)) if self._recorder.is_buffer(tensor)]
        operation = Operation(function, args, kwargs, inputs, shapes, buffers)
        layer = _LAYERS.get(function) or _LAYERS.get(operation.name)
        if layer is not None:
            layer(self, operation, result)
        elif inputs:
            self._apply_rule(operation, result)

    def _apply_rule(self, operation: Operation, result: Any) -> None:
        rule = RULES.get(operation.name)
        flows = rule(operation) if rule is not None else None
        if flows is None:
            for tensor, _ in operation.inputs:
                self._recorder.rule_out(tensor, self._in_module(operation.name))
            return
        for tensor, flow in zip(tensors_in(result), flows, strict=False):
            self._recorder.label(tensor, flow)

    def _convolution(self, operation: Operation, result: Tensor) -> None:
        x, weight, bias = (operation.argument(i, n) for i, n in enumerate(("input", "weight", "bias")))
        self._recorder.convolve(result, x, weight, bias, self._module)

    def _transposed_convolution(self, operation: Operation, result: Tensor) -> None:
        x, weight, bias = (operation.argument(i, n) for i, n in enumerate(("input", "weight", "bias")))
        groups = operation.argument(6, "groups", 1)
        self._recorder.convolve(result, x, weight, bias, self._module, groups)

    def _deformable_convolution(self, operation: Operation, result: Tensor) -> None:
        """The operator of torchvision; without a bias it is given zeros."""
        names = ("input", "weight", "offset", "mask")
        x, weight, *others = (operation.argument(i, name) for i, name in enumerate(names))
        for other in others:
            self._recorder.rule_out(other, "the offsets of a deformable convolution")
        self._recorder.convolve(result, x, weight, None, self._module)

    def _batch_norm(self, operation: Operation, result: Tensor) -> None:
        self._normalize_channels(operation, operation.argument(5, "training", False))

    def _instance_norm(self, operation: Operation, result: Tensor) -> None:
        self._normalize_channels(operation, operation.argument(5, "use_input_stats", True))

    def _normalize_channels(self, operation: Operation, own_statistics: bool) -> None:
        names = ("input", "running_mean", "running_var")
        x, mean, var = (operation.argument(i, name) for i, name in enumerate(names))
        self._rule_out_all_but(x, operation)
        eps = operation.argument(7, "eps", 1e-5)
        self._recorder.normalize(x, mean, var, eps, not own_statistics, self._module)

    def _group_norm(self, operation: Operation, result: Tensor) -> None:
        x, groups = operation.argument(0, "input"), operation.argument(1, "num_groups")
        self._rule_out_all_but(x, operation)
        flow = operation.flow_of(x)
        if flow is None:
            return
        if x.size(1) == groups:
            self._recorder.normalize(x, None, None, 0.0, False, self._module)
            return
        channels = flow.labels.expand(-1, x.size(1), *flow.labels.shape[2:])
        slices = labels_by_slice(channels.unflatten(1, (groups, -1)), x.dim() - 1)
        norm = f"GroupNorm with {x.size(1) // groups} channels a group"
        self._recorder.normalize_jointly(x, slices, norm, self._module)

    def _layer_norm(self, operation: Operation, result: Tensor) -> None:
        x, shape = operation.argument(0, "input"), operation.argument(1, "normalized_shape")
        self._rule_out_all_but(x, operation)
        flow = operation.flow_of(x)
        if flow is None:
            return
        slices = labels_by_slice(flow.labels, len(shape))
        together = any(len(labels) > 1 for labels in slices)
        norm = "LayerNorm over its channels" if together else "LayerNorm of each channel"
        self._recorder.normalize_jointly(x, slices, norm, self._module)

    def _rule_out_all_but(self, x: Tensor, operation: Operation) -> None:
        """A norm layer's γ and β, where they are computed, are not normalized."""
        for tensor, _ in operation.inputs:
            if tensor is not x:
                self._recorder.rule_out(tensor, self._in_module(operation.name))


_LAYERS: Mapping[Any, Callable[[Observer, Operation, Any], None]] = {
    F.conv1d: Observer._convolution,
    F.conv2d: Observer._convolution,
    F.conv3d: Observer._convolution,
    F.linear: Observer._convolution,
    F.conv_transpose1d: Observer._transposed_convolution,
    F.conv_transpose2d: Observer._transposed_convolution,
    F.conv_transpose3d: Observer._transposed_convolution,
    "deform_conv2d": Observer._deformable_convolution,
    F.batch_norm: Observer._batch_norm,
    F.instance_norm: Observer._instance_norm,
    F.group_norm: Observer._group_norm,
    F.layer_norm: Observer._layer_norm,
}
"""Where labels begin and end, by function; torchvision's, which need not be installed, by name."""


@contextmanager
def observe(model: nn.Module) -> Iterator[Observation]:
    """Watch one forward, up to the loss, and collect what it shows of the model's weights.

    Args:
        model: In the state in which it trains. A wrapper such as DDP is looked through.

    Yields:
        The observation; complete when the context ends.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        >>> with observe(model) as observation:
        ...     loss = model(torch.randn(2, 3, 8, 8)).square().mean()
        >>> [v.scale_invariant for v in judge(observation)]
        [True]
    """
    model = unwrap(model)
    with gathered(model):
        observer = Observer(model)
    with ExitStack() as stack:
        for module in model.modules():
            before = module.register_forward_pre_hook(observer.before_module)
            after = module.register_forward_hook(observer.after_module, always_call=True)
            stack.callback(before.remove)
            stack.callback(after.remove)
        if "torch._dynamo" in sys.modules:
            # Compiled code hides its operations.
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(_functions_announced(observer.before_function, observer.after_function))
        stack.enter_context(observer)
        yield observer.observation


@contextmanager
def _functions_announced(
    before: Callable[[type, tuple], None], after: Callable[[type, tuple, Any], None]
) -> Iterator[None]:
    """Call two functions around each ``autograd.Function``, with its class, arguments and result.

    A TorchFunctionMode does not see them, and neither do module hooks.
    """
    apply = Function.__dict__["apply"]

    def announced(cls: type, *args: Any, **kwargs: Any) -> Any:
        before(cls, args)
        result = apply.__get__(None, cls)(*args, **kwargs)
        after(cls, args, result)
        return result

    Function.apply = classmethod(announced)
    try:
        yield
    finally:
        Function.apply = apply
