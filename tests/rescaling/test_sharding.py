"""What of a sharded model is refused, which rows a process holds; see also test_sharded_training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import Placement, Replicate, Shard, distribute_tensor

from wrs_mm.errors import ModelError
from wrs_mm.rescaling import RuledSteps, WeightProjection, WeightRescaler, sharding
from wrs_mm.rescaling.step_rules import Hyperball


@pytest.fixture
def mesh() -> Iterator[DeviceMesh]:
    """A mesh of one process."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield init_device_mesh("cpu", (1,))
    finally:
        dist.destroy_process_group()


def convolution(mesh: DeviceMesh, *placements: Placement) -> nn.Conv2d:
    model = nn.Conv2d(3, 4, 1, bias=False)
    model.weight = nn.Parameter(distribute_tensor(model.weight.detach(), mesh, placements))
    return model


class FullyShardedDataParallel(nn.Linear):
    """Known by its name, as torch's and mmengine's are."""


@pytest.mark.parametrize("wrapped", [False, True])
def test_flat_parameters_are_refused_and_what_to_use_instead_is_said(wrapped: bool) -> None:
    model: nn.Module = nn.Linear(2, 2)
    sharding.refuse_unusable_shards(model)
    if wrapped:
        model = nn.Sequential(FullyShardedDataParallel(2, 2))
    else:
        model.weight._is_flat_param = True
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ModelError, match=r"flat parameters .* inside a filter: .*fully_shard"):
        WeightRescaler(model, optimizer)


@pytest.mark.parametrize(
    "method", [lambda *of: RuledSteps(*of, Hyperball()), lambda *of: WeightProjection(*of)]
)
def test_methods_that_need_whole_weights_refuse_a_sharded_model(mesh: DeviceMesh, method: Any) -> None:
    model = convolution(mesh, Shard(0))
    with pytest.raises(ModelError, match=r"needs whole weights on each process.*: train it with DDP"):
        method(model, torch.optim.SGD(model.parameters(), lr=0.1))


@pytest.mark.parametrize("placement", [Shard(1), Replicate()])
def test_shards_along_another_dimension_are_refused_by_name(mesh: DeviceMesh, placement: Placement) -> None:
    sharding.refuse_unusable_shards(convolution(mesh, Shard(0)))
    with pytest.raises(
        ModelError, match=r"^weight is sharded as .(Shard|Replicate).* not along its filters alone"
    ):
        sharding.refuse_unusable_shards(convolution(mesh, placement))


def test_a_process_holds_all_rows_of_what_is_not_split_and_its_own_of_what_is(mesh: DeviceMesh) -> None:
    plain, split = nn.Conv2d(3, 4, 1).weight, convolution(mesh, Shard(0)).weight
    assert sharding.shard_of(plain) is None
    shard = sharding.shard_of(split)
    assert shard is not None and (shard.first, shard.rows) == (0, 4)
    for parameter in (plain, split):
        held = sharding.local(parameter)
        assert held.shape == (4, 3, 1, 1)
        assert torch.equal(sharding.whole(parameter), held)
    with torch.no_grad():
        sharding.local(split).zero_()
    assert not split.full_tensor().any(), "what a process holds shares the parameter's memory"
