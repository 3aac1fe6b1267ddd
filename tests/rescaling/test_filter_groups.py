"""Which filters are scaled together, and that a norm layer keeps its output where they are."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from wrs_mm.rescaling.filter_groups import Groups, group_norms, group_sizes, join, number_of_groups
from wrs_mm.rescaling.functional import rescale_


def test_sets_that_share_a_filter_are_one_group_numbered_by_its_first_filter() -> None:
    assert join([], 3) is None and join([(1,), (2, 2)], 3) is None, "each filter on its own"
    assert join([(1, 2)], 4) == (0, 1, 1, 2)
    assert join([(4, 5), (0, 2), (2, 4)], 6) == (0, 1, 0, 2, 0, 0)
    groups = join([(0, 1, 2, 3)], 4)
    assert groups == (0, 0, 0, 0) and number_of_groups(groups) == 1
    assert group_sizes((0, 1, 0, 2, 0)).tolist() == [3, 1, 1]


@pytest.mark.parametrize("groups", [None, (0, 1, 0, 2, 1, 0), (0,) * 6])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_groups_norm_is_that_of_its_filters_in_one_vector(groups: Groups | None, transposed: bool) -> None:
    torch.manual_seed(0)
    if transposed:  # in two groups: filters 0, 1, 2 read channels 0 and 1, filters 3, 4, 5 the others
        weight = torch.randn(4, 3, 3, 3, dtype=torch.float64)
        filters = torch.cat([weight[:2].transpose(0, 1), weight[2:].transpose(0, 1)]).flatten(1)
    else:
        weight = torch.randn(6, 4, 3, 3, dtype=torch.float64)
        filters = weight.flatten(1)
    numbers = groups or tuple(range(6))
    expected = [
        torch.cat([f for f, number in zip(filters, numbers, strict=True) if number == group]).norm()
        for group in range(max(numbers) + 1)
    ]
    torch.testing.assert_close(group_norms(weight, 2 * transposed, groups), torch.stack(expected))


NORM_LAYERS = {
    "InstanceNorm": (nn.InstanceNorm2d(6, eps=1e-30), None),
    "GroupNorm": (nn.GroupNorm(3, 6, eps=1e-30), (0, 0, 1, 1, 2, 2)),
    "GroupNorm of one channel": (nn.GroupNorm(6, 6, eps=1e-30), None),
    "LayerNorm": (nn.GroupNorm(1, 6, eps=1e-30), (0,) * 6),
}


@pytest.mark.parametrize("kind", NORM_LAYERS)
@pytest.mark.parametrize("bias", [False, True])
def test_the_table_of_norm_layers_and_what_a_bias_changes(kind: str, bias: bool) -> None:
    """The statement at the head of the module, in float64."""
    norm, groups = NORM_LAYERS[kind]
    norm = norm.double()
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 8, 8, dtype=torch.float64), torch.randn(6, 3, 3, 3, dtype=torch.float64)
    shift = torch.randn(6, dtype=torch.float64) if bias else None
    before = norm(F.conv2d(x, weight, shift))
    factors = torch.tensor([0.25, 0.5, 2.0, 4.0, 0.5, 2.0], dtype=torch.float64)
    own = tuple(range(6)) if groups is None else groups
    after = norm(F.conv2d(x, rescale_(weight.clone(), factors[list(own)]), shift))
    same = torch.allclose(after, before, rtol=1e-12, atol=1e-12)
    assert same == (not bias or groups is None)
    if groups is not None:  # and they are the finest such sets
        apart = norm(F.conv2d(x, rescale_(weight.clone(), factors), shift))
        assert not torch.allclose(apart, before, rtol=1e-3)
    if bias and groups is not None:
        both = norm(F.conv2d(x, weight, shift * 0 + 0.7)), norm(F.conv2d(x, 2 * weight, shift * 0 + 0.7))
        torch.testing.assert_close(*both, rtol=1e-12, atol=1e-12)  # an equal bias is taken away


def test_the_output_is_the_same_up_to_epsilon_as_that_of_batch_norm_is() -> None:
    """With ε, the change is that of ε itself: ``ε / a²`` in its place."""
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 8, 8, dtype=torch.float64), torch.randn(6, 3, 3, 3, dtype=torch.float64)
    y = F.conv2d(x, weight)
    for norm in (F.layer_norm, F.group_norm, F.instance_norm, F.batch_norm):
        arguments = {
            F.layer_norm: (y.shape[1:],), F.group_norm: (3,), F.instance_norm: (),
            F.batch_norm: (torch.zeros(6).double(), torch.ones(6).double()),
        }[norm]  # fmt: skip
        options = {F.batch_norm: {"training": True}}.get(norm, {})
        scaled = norm(4 * y, *arguments, **options, eps=1e-3)
        torch.testing.assert_close(scaled, norm(y, *arguments, **options, eps=1e-3 / 16), rtol=1e-12, atol=0)
        assert not torch.allclose(scaled, norm(y, *arguments, **options, eps=1e-3), rtol=1e-6, atol=0)
