"""Norms that are sums over a group's filters, in whole weights and in parts of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wrs_mm.rescaling.filter_groups import Groups, group_norms, number_of_groups
from wrs_mm.rescaling.spread_weight import SpreadWeight, is_spread, norms_of

SHAPES = {"convolution": ((6, 4, 3, 3), 0), "linear": ((6, 5), 0), "transposed": ((4, 3, 3, 3), 2)}


class Part:
    """What a DTensor says of itself in one of several processes."""

    placements = ("along dimension 0",)

    def __init__(self, weight: Tensor, rank: int, processes: int) -> None:
        chunks = weight.chunk(processes)
        self._held = chunks[rank].clone() if rank < len(chunks) else weight[:0].clone()
        self._rank, self._processes = rank, processes
        self.shape, self.device_mesh = weight.shape, self

    def size(self) -> int:
        return self._processes

    def get_local_rank(self) -> int:
        return self._rank

    def get_group(self) -> None:
        return None

    def dim(self) -> int:
        return len(self.shape)

    def detach(self) -> Part:
        return self

    def to_local(self) -> Tensor:
        return self._held


@pytest.mark.parametrize("groups", [None, (0, 1, 0, 2, 1, 0), (0,) * 6])
@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("processes", [1, 2, 3, 5, 8])
def test_what_processes_hold_adds_up_to_the_norms_of_the_whole(
    kind: str, groups: Groups | None, processes: int
) -> None:
    torch.manual_seed(0)
    shape, transposed_groups = SHAPES[kind]
    weight = torch.randn(shape, dtype=torch.float64)
    expected = group_norms(weight, transposed_groups, groups)
    factors = torch.rand(number_of_groups(groups or tuple(range(6))), dtype=torch.float64) + 0.5
    total, multiplied = torch.zeros_like(expected), []
    for rank in range(processes):
        part = Part(weight, rank, processes)
        spread = SpreadWeight(part, transposed_groups, groups, torch.full_like(expected, 7.0), factors)
        spread.measure()
        total += spread.norms
        spread.multiply()
        multiplied.append(part.to_local())
    torch.testing.assert_close(total.sqrt(), expected)
    after = group_norms(torch.cat(multiplied), transposed_groups, groups)
    torch.testing.assert_close(after, factors * expected)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_group_of_a_whole_weight_is_multiplied_in_place_in_any_format(
    memory_format: torch.memory_format,
) -> None:
    torch.manual_seed(0)
    weight = torch.randn(4, 3, 3, 3).contiguous(memory_format=memory_format)
    before, strides = weight.clone(), weight.stride()
    norms = torch.empty(2)
    spread = SpreadWeight(weight, 0, (0, 1, 1, 0), norms, torch.tensor([2.0, 3.0]))
    spread.measure()
    spread.finish()
    torch.testing.assert_close(norms, norms_of(before, 0, (0, 1, 1, 0)))
    spread.multiply()
    assert weight.stride() == strides
    assert torch.equal(weight, before * torch.tensor([2.0, 3.0, 3.0, 2.0]).view(-1, 1, 1, 1))


def test_filters_alone_and_whole_weights_take_the_fast_path() -> None:
    weight = torch.randn(4, 3, 3, 3)
    assert not is_spread(weight, None) and not is_spread(weight, (0,) * 4)
    assert is_spread(weight, (0, 0, 1, 1))
