"""What a rescale asks of a GPU, without one: where its tensors are, and how many kernels it launches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from wrs_mm.rescaling import WeightRescaler

GPU = "cuda:0"
OPTIONS = [
    {},
    {"granularity": "layer"},
    {"target": "init", "target_schedule": "decay"},
    {"target": 1.0, "target_schedule": "decay_and_growth"},
    {"target": 1.0, "target_schedule": "decay_and_growth_by_layer"},
]


class Kernels(TorchDispatchMode):
    """Counts the operations that compute something: all but views and questions about a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.namespace == "aten" and not func.is_view
        return func(*args, **(kwargs or {}))


def network(layers: int, device: str, grouped: bool = False) -> nn.Sequential:
    """Convolutions, the last one transposed, each with a BN, or without bias and with a GroupNorm."""
    kinds = [nn.Conv2d] * (layers - 1) + [nn.ConvTranspose2d]

    def norm() -> nn.Module:
        return nn.GroupNorm(2, 8, device=device) if grouped else nn.BatchNorm2d(8, device=device)

    blocks = [
        (kind(8, 8, 3, padding=1, bias=not grouped, device=device), norm(), nn.ReLU()) for kind in kinds
    ]
    return nn.Sequential(*[module for block in blocks for module in block])


def optimized(
    model: nn.Module, foreach: bool = False, **options: Any
) -> tuple[torch.optim.Optimizer, WeightRescaler]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2, foreach=foreach)
    return optimizer, WeightRescaler(model, optimizer, **options)


def found(layers: int, **options: Any) -> dict[str, Any]:
    """What the first forward shows; it looks at values, which a fake tensor has not."""
    model = network(layers, "cpu", options.get("granularity") == "group")
    _, rescaler = optimized(model, **options)
    with rescaler.observing():
        model(torch.randn(2, 8, 6, 6)).square().mean()
    return rescaler.invariant_weights.state_dict()


def kernels(layers: int, foreach: bool = False, **options: Any) -> tuple[int, int]:
    """Of a rescale and of the optimizer's step, on a GPU that is not there."""
    state = found(layers, **options)
    with FakeTensorMode():
        model = network(layers, GPU, options.get("granularity") == "group")
        optimizer, rescaler = optimized(model, foreach, **options)
        rescaler.invariant_weights.load_state_dict(state)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
        with Kernels() as both:
            optimizer.step()
        with Kernels() as rescale:
            rescaler.rescale()
        assert len(rescaler.rescaled) == layers
        states = [value for held in optimizer.state.values() for value in held.values()]
        assert {str(t.device) for t in (*model.parameters(), *model.buffers(), *states)} == {GPU}
    return rescale.count, both.count - rescale.count


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_rescale_on_a_gpu_stays_there_and_grows_by_less_than_the_step_before_it(options: dict) -> None:
    (few, few_steps), (many, many_steps) = (kernels(layers, **options) for layers in (4, 24))
    follows_decay = "target_schedule" in options
    # A norm and a multiplication for each weight; the rest is the same for any number of them.
    assert many - few == 2 * 20
    assert follows_decay or few - 2 * 4 == 33
    # Momentum, the gradient and the parameter itself, of which a layer has four, and weight decay.
    assert many_steps - few_steps == (4 * 3 + (4 if follows_decay else 3)) * 20


def test_groups_cost_a_few_operations_more_for_each_weight() -> None:
    few, many = (kernels(layers, granularity="group", target="init_rms")[0] for layers in (4, 24))
    # Norm, square, zero, sum, root, factors by filter, multiplication.
    assert many - few == 7 * 20


def test_the_cost_page_has_the_numbers_for_as_many_weights_as_a_resnet50_has() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cost.md").read_text(encoding="utf-8")
    text = " ".join(page.split())
    rescale, step = kernels(53)
    followed = [
        kernels(53, target=1.0, target_schedule=schedule)[0]
        for schedule in ("decay_and_growth", "decay_and_growth_by_layer")
    ]
    assert f"53 weights {rescale} ({followed[0]} and {followed[1]} where targets follow" in text
    assert f"{step} in all, with `foreach=False`" in text
    assert f"it has {kernels(53, foreach=True)[1]} operations on lists" in text
