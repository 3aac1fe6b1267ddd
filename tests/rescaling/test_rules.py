"""Each rule against brute force: scale filters, apply the operation, look which output values scale along."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from wrs_mm.rescaling.labels import Flow, tensors_in, weight_labels
from wrs_mm.rescaling.rules import RULES, Operation

FILTERS = 4
FACTORS = torch.tensor([1.0, 1.3, 1.7, 2.3, 2.9, 3.1, 3.7, 4.3, 5.3], dtype=torch.float64)
"""Of what no filter scales, of the four filters of weight 0, of the four of weight 1."""

BIASES = torch.tensor([0.0, 0.3, -0.7, 1.1, 0.9, -0.2, 0.4, -1.3, 0.6], dtype=torch.float64)


class Put(Enum):
    """Stands for an argument of an operation."""

    Y = "the output of weight 0"
    Z = "the output of weight 1"
    U = "what no filter scales, of the same shape"
    V = "the same with a further dimension"
    GRID = "places of an image"
    INDEX = "three channels"


Y, Z, U, V, GRID, INDEX = Put

CASES: list[tuple[Callable, tuple]] = [
    (F.relu, (Y,)), (F.leaky_relu, (Y, 0.1)), (torch.abs, (Y,)), (torch.neg, (Y,)), (Tensor.clone, (Y,)),
    (torch.zeros_like, (Y,)), (Tensor.numel, (Y,)), (Tensor.double, (Y,)),
    (torch.mul, (Y, 2.0)), (torch.mul, (Y, U)), (torch.mul, (U, Y)), (torch.mul, (Y, Z)), (torch.mul, (Y, V)),
    (torch.div, (Y, 2.0)), (torch.div, (Y, V)), (torch.div, (U, Y)),
    (torch.add, (Y, Y)), (torch.add, (Y, Z)), (torch.add, (Y, U)), (torch.add, (Y, 1.0)),
    (torch.clamp, (Y, 0.0)), (torch.clamp, (Y, None, 0.0)), (torch.clamp, (Y, -1.0, 1.0)),
    (torch.clamp, (Y, U)),
    (F.dropout, (Y, 0.5)), (F.dropout, (Y, 0.5, False)), (F.dropout2d, (Y, 0.5)),
    (F.max_pool2d, (Y, 2)), (F.max_pool2d_with_indices, (Y, 2)), (F.avg_pool2d, (Y, 3, 2)),
    (F.avg_pool2d, (Y, 3, 2, 1)), (F.avg_pool2d, (Y, 3, 2, (0, 1))),
    (F.avg_pool2d, (Y, 2, 2, 0, False, True, 3)), (F.adaptive_avg_pool2d, (Y, 2)),
    (F.adaptive_max_pool2d, (Y, 3)), (F.interpolate, (Y, None, 2.0, "bilinear")), (F.grid_sample, (Y, GRID)),
    (F.pad, (Y, (1, 1, 2, 0))), (F.pad, (Y, (1, 1), "constant", 1.0)), (F.pad, (Y, (0, 0, 0, 0, 1, 1))),
    (F.pad, (Y, (1, 1, 1, 1), "reflect")),
    (torch.mean, (Y, (2, 3))), (torch.mean, (Y, 1)), (torch.mean, (Y, -1, True)), (torch.mean, (Y,)),
    (torch.mean, (Y, ())), (torch.sum, (Y, 3)), (torch.amax, (Y, (2, 3))), (torch.amin, (Y, (1, 2))),
    (torch.cat, ([Y, Z], 1)), (torch.cat, ([U, Y], 1)), (torch.cat, ([Y, Z], 0)), (torch.stack, ([Y, Z], 2)),
    (torch.chunk, (Y, 2, 1)), (torch.split, (Y, 3, 1)), (torch.unbind, (Y, 1)),
    (torch.flatten, (Y, 2)), (torch.flatten, (Y, 1)), (torch.permute, (Y, (0, 2, 3, 1))),
    (Tensor.expand, (Y, 3, -1, -1, -1, -1)), (Tensor.repeat, (Y, 1, 2, 1, 1)), (torch.roll, (Y, 1, 1)),
    (torch.index_select, (Y, 1, INDEX)), (Tensor.__getitem__, (Y, (slice(None), slice(1, None, 2)))),
    (Tensor.__getitem__, (Y, (Ellipsis, None))), (F.pixel_shuffle, (Y, 2)), (F.channel_shuffle, (Y, 2)),
    (torch.squeeze, (Y,)), (torch.transpose, (Y, 1, 3)),
    (Tensor.copy_, (U, Y)), (Tensor.copy_, (Y, U)), (Tensor.copy_, (Y, Z)),
]  # fmt: skip

WITHOUT_A_RULE: list[tuple[Callable, tuple]] = [
    (torch.sigmoid, (Y,)), (torch.exp, (Y,)), (F.silu, (Y,)), (F.softmax, (Y, 1)), (torch.cumsum, (Y, 1)),
    (torch.matmul, (Y, Y)), (F.normalize, (Y,)), (torch.square, (Y,)),
]  # fmt: skip

STRICTER = {
    # Padding over the channels: it could say which channels are new.
    "pad(Y,(0,0,0,0,1,1))": ("NCHW", "NHWC", "NCHW bias"),
    "pad(Y,(1,1,2,0))": ("NHWC",),
    "pad(Y,(1,1),constant,1.0)": ("NHWC", "NHWC bias"),
    # A bias could pass where no zeros come in.
    "pad(Y,(1,1,1,1),reflect)": ("NHWC", "NCHW bias", "NHWC bias"),
    # What is overwritten goes nowhere.
    "copy_(Y,U)": ("NCHW", "NHWC", "NCHW bias", "NHWC bias"),
    "copy_(Y,Z)": ("NCHW", "NHWC", "NCHW bias", "NHWC bias"),
}
"""Where a rule rules out more than it would have to."""


def name_of(case: Any) -> str:
    function, args = case
    shown = [a.name if isinstance(a, Put) else str(a) for a in args]
    return f"{function.__name__}({', '.join(shown)})".replace("<Put.", "").replace(" ", "")


def tensors(seed: int, channels_last: bool) -> dict[Put, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        y = torch.randn(shape, generator=generator, dtype=torch.float64)
        return y.permute(0, 2, 3, 1).contiguous() if channels_last and len(shape) == 4 else y

    shape = (2, FILTERS, 8, 8)
    values = {put: normal(*shape) for put in (Y, Z, U)}
    further = torch.randn(3, *values[U].shape, generator=generator, dtype=torch.float64)
    grid = torch.rand(2, 5, 5, 2, generator=generator, dtype=torch.float64) * 2.4 - 1.2
    return {**values, V: further, GRID: grid, INDEX: torch.tensor([2, 0, 1])}


def filled(value: Any, given: dict[Put, Tensor]) -> Any:
    """Arguments with tensors in their places."""
    if isinstance(value, Put):
        return given[value].clone()
    if isinstance(value, (list, tuple)):
        return type(value)(filled(item, given) for item in value)
    return value


def channelwise(numbers: Tensor, first: int, channels_last: bool) -> Tensor:
    """The numbers of a weight's filters, broadcastable to its output."""
    own = numbers[first : first + FILTERS]
    return own if channels_last else own.view(-1, 1, 1)


def scaled(given: dict[Put, Tensor], bias: bool, channels_last: bool) -> dict[Put, Tensor]:
    """The same values after the filters were multiplied by their factors, and not the biases."""
    result = dict(given)
    for put, first in ((Y, 1), (Z, 1 + FILTERS)):
        factor = channelwise(FACTORS, first, channels_last)
        shift = channelwise(BIASES, first, channels_last) if bias else torch.zeros(())
        result[put] = factor * (given[put] - shift) + shift
    return result


def results(function: Callable, args: tuple) -> list[Tensor]:
    torch.manual_seed(0)  # dropout draws
    result = function(*args)
    found = [t.double() for t in tensors_in(result)]
    return found[:1] if function.__name__.endswith("with_indices") else found


def candidates(case: Any, bias: bool, channels_last: bool) -> list[Tensor]:
    """By value of each result, ``(1 + 2 · FILTERS, …)``: which filters' scale alone explains its changes."""
    function, args = case
    explained: list[Tensor] = []
    for seed in range(4):
        given = tensors(seed, channels_last)
        before = results(function, filled(args, given))
        after = results(function, filled(args, scaled(given, bias, channels_last)))
        fits = []
        for old, new in zip(before, after, strict=True):
            factors, shifts = (n.view(-1, *[1] * old.dim()) for n in (FACTORS, BIASES * bias))
            fits.append((factors * (old - shifts) + shifts - new).abs() <= 1e-9 * (1 + new.abs()))
        explained = [a & b for a, b in zip(explained, fits, strict=True)] if explained else fits
    return explained


def scale_alone(explained: Tensor) -> bool:
    """Whether along some dimension one filter explains each slice: the channels of a norm layer to come."""
    slices = [explained.movedim(d, 1).flatten(2).all(dim=2) for d in range(1, explained.dim())]
    return any(bool(by_slice.any(dim=0).all()) for by_slice in slices)


def answer(case: Any, bias: bool, channels_last: bool) -> list[Tensor] | None:
    """By value of each result, the number of the filter that scales it, as the rule has it."""
    function, args = case
    args = filled(args, given := tensors(0, channels_last))
    weights = {Y: 0, Z: 1}
    inputs = []
    for tensor in tensors_in(args):
        for put, weight in weights.items():
            if tensor.shape == given[put].shape and torch.equal(tensor, given[put]):
                labels = weight_labels(weight, (FILTERS,))
                labels = labels if channels_last else labels.view(-1, 1, 1)
                labels = labels.view(*[1] * (tensor.dim() - labels.dim()), *labels.shape)
                inputs.append((tensor, Flow(labels, {weight: f"bias {weight}"} if bias else {})))
    shapes = [tuple(t.shape) for t in results(function, filled(args, given))]
    operation = Operation(function, args, {}, inputs, shapes)
    rule = RULES.get(operation.name)
    flows = rule(operation) if rule is not None else None
    if flows is None:
        return None
    numbers = torch.zeros(FILTERS * 2 + 1, dtype=torch.int64)
    numbers[1:] = torch.cat([weight_labels(weight, (FILTERS,)) for weight in (0, 1)])
    labels = [flow.labels for flow in flows] or [torch.zeros((), dtype=torch.int64)] * len(shapes)
    return [torch.searchsorted(numbers, n.expand(shape)) for n, shape in zip(labels, shapes, strict=True)]


@pytest.mark.parametrize("channels_last", [False, True], ids=["NCHW", "NHWC"])
@pytest.mark.parametrize("bias", [False, True], ids=["", "bias"])
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_rule_passes_what_scales_filter_by_filter_and_nothing_else(
    case: Any, bias: bool, channels_last: bool
) -> None:
    explained = candidates(case, bias, channels_last)
    numbers = answer(case, bias, channels_last)
    if numbers is not None:
        for filters, which in zip(numbers, explained, strict=True):
            assert bool(which.gather(0, filters.unsqueeze(0)).all())
        return
    passes = all(scale_alone(which) for which in explained)
    variant = ("NHWC" if channels_last else "NCHW") + (" bias" if bias else "")
    assert passes is (variant in STRICTER.get(name_of(case), ()))


@pytest.mark.parametrize("case", WITHOUT_A_RULE, ids=name_of)
def test_an_operation_without_a_rule_mixes_filters_or_is_not_homogeneous(case: Any) -> None:
    assert answer(case, bias=False, channels_last=False) is None
    assert not all(scale_alone(which) for which in candidates(case, False, False))


def test_arguments_may_be_given_by_name() -> None:
    y = torch.randn(2, FILTERS, 6, 6)
    flow = Flow(weight_labels(0, (FILTERS, 1, 1, 1)).view(1, -1, 1, 1), {0: "bias"})
    pooled = Operation(
        F.avg_pool2d, (), {"input": y, "kernel_size": 3, "padding": 1}, [(y, flow)], [(2, FILTERS, 2, 2)]
    )
    assert RULES["avg_pool2d"](pooled) is None
    unpadded = Operation(F.avg_pool2d, (), {"input": y, "kernel_size": 3}, [(y, flow)], [(2, FILTERS, 2, 2)])
    assert RULES["avg_pool2d"](unpadded) == [flow]


def test_an_attribute_is_called_by_its_own_name() -> None:
    assert Operation(Tensor.shape.__get__, (), {}, [], []).name == "shape"
    assert Operation(Tensor.data.__set__, (), {}, [], []).name == "set data"


def test_channels_of_an_empty_batch_are_followed() -> None:
    y = torch.randn(0, FILTERS, 6, 6)
    flow = Flow(weight_labels(0, (FILTERS, 1, 1, 1)).view(1, -1, 1, 1))
    viewed = Operation(Tensor.view, (y, 0, FILTERS, 36), {}, [(y, flow)], [(0, FILTERS, 36)])
    (moved,) = RULES["view"](viewed) or []
    assert moved.labels.shape == (1, FILTERS, 1)
    unclear = Operation(Tensor.view, (y, -1, 2), {}, [(y, flow)], [(0, 2)])
    assert RULES["view"](unclear) is None
