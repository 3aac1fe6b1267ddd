"""Products with the Hessian, and its largest eigenvalues, against the whole matrix in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from wrs_mm.curvature import HessianProduct, SphereHessianProduct, largest_eigenvalue
from wrs_mm.errors import ModelError

X = torch.randn(5, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
INVARIANT = {"0.weight": 0, "3.weight": 2}
"""Names of scale-invariant weights, with their ``transposed_groups``."""


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=1e-12), nn.Softplus(),
        nn.ConvTranspose2d(4, 4, 2, groups=2, bias=False), nn.BatchNorm2d(4, eps=1e-12), nn.Tanh(),
        nn.Flatten(), nn.Linear(4 * 25, 2),
    ).double()  # fmt: skip


def loss_of(model: nn.Module, parameters: dict[str, Tensor]) -> Tensor:
    return functional_call(model, parameters, (X,)).square().mean().sin()


def whole_hessian(function: object, vector: Tensor) -> Tensor:
    return torch.autograd.functional.hessian(function, vector)


def joined(model: nn.Module, names: list[str]) -> tuple[Tensor, object]:
    """All numbers of some parameters, and the loss as a function of them."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    sizes = [parameters[name].numel() for name in names]

    def function(vector: Tensor) -> Tensor:
        parts = zip(names, vector.split(sizes), strict=True)
        return loss_of(model, parameters | {name: part.view(parameters[name].shape) for name, part in parts})

    return torch.cat([parameters[name].flatten() for name in names]), function


def unit_filters(weight: Tensor, transposed_groups: int) -> Tensor:
    """By hand: each output channel's numbers have norm 1."""
    if not transposed_groups:
        return weight / weight.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    parts = weight.chunk(transposed_groups)
    return torch.cat([part / part.transpose(0, 1).flatten(1).norm(dim=1).view(1, -1, 1, 1) for part in parts])


def tangent_projection(units: dict[str, Tensor]) -> Tensor:
    """By hand, as a matrix: what stays of a change that is orthogonal to each filter."""
    normals = []
    for name, groups in INVARIANT.items():
        filters = units[name].unflatten(0, (groups or 1, -1)).transpose(1, 2) if groups else units[name][None]
        for index in range(filters.shape[0] * filters.shape[1]):
            mask = torch.zeros_like(filters).flatten(0, 1)
            mask[index] = filters.flatten(0, 1)[index]
            mask = mask.view(filters.shape)
            own = mask.transpose(1, 2).flatten(0, 1) if groups else mask[0]
            before = [torch.zeros_like(units[other]) if other != name else own for other in INVARIANT]
            normals.append(torch.cat([part.flatten() for part in before]))
    stacked = torch.stack(normals)
    torch.testing.assert_close(stacked @ stacked.T, torch.eye(len(normals), dtype=torch.float64))
    return torch.eye(stacked.shape[1], dtype=torch.float64) - stacked.T @ stacked


def test_a_product_and_the_sharpness_are_those_of_the_whole_hessian() -> None:
    model = network()
    names = [name for name, _ in model.named_parameters()]
    vector, function = joined(model, names)
    expected = whole_hessian(function, vector)
    product = HessianProduct(loss_of(model, dict(model.named_parameters())), list(model.parameters()))
    assert product.size == len(vector)
    v = torch.randn(product.size, dtype=torch.float64)
    torch.testing.assert_close(product(v), expected @ v, rtol=1e-9, atol=1e-9)
    found = largest_eigenvalue(product, v, tolerance=1e-6)
    assert found.value == pytest.approx(float(torch.linalg.eigvalsh(expected)[-1]), rel=1e-5)


def test_on_the_sphere_it_is_the_hessian_in_the_filters_directions() -> None:
    model = network()
    with torch.no_grad():
        for parameter in (model[0].weight, model[3].weight):
            parameter *= torch.rand_like(parameter[:, :, :1, :1]) + 0.5  # filters of different norms
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    units = {name: unit_filters(parameters[name], groups) for name, groups in INVARIANT.items()}
    sizes = [unit.numel() for unit in units.values()]

    def function(vector: Tensor) -> Tensor:
        """Of directions: whatever is given goes to the sphere first, so that only directions matter."""
        parts = zip(INVARIANT.items(), vector.split(sizes), strict=True)
        moved = {name: unit_filters(part.view(units[name].shape), groups) for (name, groups), part in parts}
        return loss_of(model, parameters | moved)

    # Beside its curvature along the sphere, the Hessian has -gradient between along and away from it.
    along = tangent_projection(units)
    expected = along @ whole_hessian(function, torch.cat([unit.flatten() for unit in units.values()])) @ along
    weights = [(model.get_parameter(name), groups) for name, groups in INVARIANT.items()]
    product = SphereHessianProduct(loss_of(model, dict(model.named_parameters())), weights)
    v = torch.randn(product.size, dtype=torch.float64)
    torch.testing.assert_close(product(v), expected @ v, rtol=1e-7, atol=1e-9)
    found = largest_eigenvalue(product, v, tolerance=1e-6)
    assert found.value == pytest.approx(float(torch.linalg.eigvalsh(expected)[-1]), rel=1e-5)


def test_scales_of_filters_change_the_sharpness_and_not_the_one_on_the_sphere() -> None:
    model = network()
    start = torch.randn(sum(model.get_parameter(name).numel() for name in INVARIANT), dtype=torch.float64)

    def measured() -> tuple[float, float, float]:
        weights = [(model.get_parameter(name), groups) for name, groups in INVARIANT.items()]
        loss = loss_of(model, dict(model.named_parameters()))
        plain = largest_eigenvalue(HessianProduct(loss, [w for w, _ in weights]), start, tolerance=1e-7)
        sphere = SphereHessianProduct(loss, weights)
        squares = torch.cat(sphere.squared_norms())
        return plain.value, largest_eigenvalue(sphere, start, tolerance=1e-7).value, float(squares.mean())

    plain, sphere, square = measured()
    with torch.no_grad():
        for name in INVARIANT:
            model.get_parameter(name).mul_(3)
    larger, same, squares = measured()
    assert larger == pytest.approx(plain / 9, rel=1e-5)
    assert same == pytest.approx(sphere, rel=1e-5)
    assert squares == pytest.approx(9 * square)


def test_with_factors_on_the_learning_rate_it_has_the_eigenvalues_of_what_a_step_multiplies_by() -> None:
    """A step is ``v ← v − η ρ P ∇²L P v``, which has eigenvalues beyond ±1 from ``2 / η`` of it on."""
    model = network()
    weights = [(model.get_parameter(name), groups) for name, groups in INVARIANT.items()]
    with torch.no_grad():
        for weight, _ in weights:
            weight *= torch.rand_like(weight[:, :, :1, :1]) + 0.5
    rates = [torch.rand(4, dtype=torch.float64) + 0.2 for _ in weights]
    loss = loss_of(model, dict(model.named_parameters()))
    turning = SphereHessianProduct(loss, weights, [rate.sqrt() for rate in rates])
    tangent = SphereHessianProduct(loss, weights, [1.0] * len(weights))
    factors = torch.cat([_spread(rate, *weight) for rate, weight in zip(rates, weights, strict=True)])
    units = torch.eye(tangent.size, dtype=torch.float64)
    step = torch.stack([factors * tangent(unit) for unit in units], dim=1)
    expected = float(torch.linalg.eigvals(step).real.max())
    found = largest_eigenvalue(turning, units[0] + units[-1] + 1, tolerance=1e-8, most_products=500)
    assert found.value == pytest.approx(expected, rel=1e-6)


def _spread(rate: Tensor, weight: Tensor, groups: int) -> Tensor:
    """A filter's factor for each of its numbers, in the weight's order."""
    if groups:
        inside = weight.shape[2:]
        by_group = rate.view(groups, 1, -1, *([1] * len(inside)))
        return by_group.expand(groups, weight.shape[0] // groups, -1, *inside).reshape(-1)
    return rate.view(-1, *([1] * (weight.dim() - 1))).expand_as(weight).reshape(-1)


def test_a_filter_of_zeros_has_no_part_in_it() -> None:
    model = network()
    with torch.no_grad():
        model[0].weight[1] = 0
    loss = loss_of(model, dict(model.named_parameters()))
    product = SphereHessianProduct(loss, [(model[0].weight, 0)])
    assert torch.isfinite(product(torch.ones(product.size, dtype=torch.float64))).all()
    norms = model[0].weight.detach().flatten(1).norm(dim=1)
    (squares,) = product.squared_norms()
    torch.testing.assert_close(squares, norms.square())
    # Nor has it one where scales say how far a step takes the filters.
    turning = SphereHessianProduct(loss, [(model[0].weight, 0)], [torch.ones(4)])
    along = turning(torch.ones(product.size, dtype=torch.float64)).view(4, -1)
    assert not along[1].any() and bool(along[0].any())


def test_a_parameter_that_the_loss_does_not_use_has_zeros() -> None:
    used, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    product = HessianProduct(used.pow(3).sum(), [unused, used])
    assert product(torch.ones(5)).tolist() == [0, 0, 0, 6, 6]


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient * 2


def test_an_operation_that_is_differentiable_only_once_is_said() -> None:
    x = torch.ones(2, requires_grad=True)
    loss = _Once.apply(x.square()).square().sum()
    # PyTorch leaves the part of it out without a word.
    (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
    assert torch.autograd.grad(gradient.sum(), x)[0].tolist() != [48, 48]
    with pytest.raises(ModelError, match="differentiable only once"):
        HessianProduct(loss, [x])
