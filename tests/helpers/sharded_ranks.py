"""Run by test_sharded_training under torchrun: fully_shard and DDP train the same network on two processes.

Its arguments are a folder for checkpoints and, for each comparison, the options of WeightRescaler as a Python
dict.
"""

from __future__ import annotations

import ast
import copy
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from wrs_mm.openmmlab.distributed import end_process
from wrs_mm.rescaling import WeightRescaler

STEPS = 5


def network() -> nn.Sequential:
    """Every kind of weight, in numbers of filters that two processes cannot halve, in float64."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 7, 3), nn.BatchNorm2d(7), nn.ReLU(),
        nn.Conv2d(7, 6, 3, padding=1, bias=False), nn.GroupNorm(3, 6), nn.ReLU(),
        nn.ConvTranspose2d(6, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6), nn.ReLU(),
        nn.Conv2d(6, 1, 1, bias=False), nn.InstanceNorm2d(1),
        nn.Conv2d(1, 5, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(5, 5, bias=False), nn.BatchNorm1d(5), nn.Linear(5, 3),
    ).double()  # fmt: skip


def sharded(boundaries: bool) -> nn.Module:
    """The network split by fully_shard; with boundaries between a convolution and its norm layer."""
    model = network()
    for child in model if boundaries else []:
        if any(True for _ in child.parameters()):
            fully_shard(child)
    fully_shard(model)
    return model


def replicated() -> nn.Module:
    return nn.parallel.DistributedDataParallel(network(), broadcast_buffers=False)


class Training:
    """A model, its optimizer and its rescaler."""

    def __init__(self, model: nn.Module, options: dict[str, Any]) -> None:
        self.model = model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-2)
        self.rescaler = WeightRescaler(model, self.optimizer, **options)

    def train(self, steps: range) -> None:
        for step in steps:
            generator = torch.Generator().manual_seed(10 * step + dist.get_rank())
            x = torch.randn(4, 3, 9, 9, generator=generator, dtype=torch.float64)
            with self.rescaler.observing():
                loss = self.model(x).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()

    def state(self) -> dict[str, Any]:
        """What to save, rank by rank."""
        return {
            "rescaler": self.rescaler.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "model": self.model.state_dict(),
        }

    def load(self, state: dict[str, Any]) -> None:
        self.rescaler.load_state_dict(state["rescaler"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.model.load_state_dict(state["model"])

    def tensors(self) -> dict[str, Tensor]:
        """All weights, whole, and this rank's buffers."""
        state = copy.deepcopy(self.model.state_dict())
        whole = {k: v.full_tensor() if isinstance(v, DTensor) else v for k, v in state.items()}
        return {name.removeprefix("module."): tensor for name, tensor in whole.items()}


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The largest difference of two states, as a share of the largest number of its tensor."""
    assert one.keys() == other.keys()
    return max(
        float((a - b).abs().max() / b.abs().max().clamp(min=1e-3))
        for a, b in ((one[name].double(), other[name].double()) for name in one)
    )


def compare(folder: Path, options: dict[str, Any]) -> None:
    reference = Training(replicated(), options)
    reference.train(range(STEPS))
    before = apart(Training(replicated(), options).tensors(), reference.tensors())
    names = [v.name for v in reference.rescaler.rescaled]
    for boundaries in (False, True):
        split = Training(sharded(boundaries), options)
        split.train(range(2))
        file = folder / f"{boundaries}-{dist.get_rank()}.pth"
        torch.save(split.state(), file)
        split.train(range(2, STEPS))
        same = apart(split.tensors(), reference.tensors())
        resumed = Training(sharded(boundaries), options)
        resumed.load(torch.load(file, weights_only=False))
        resumed.train(range(2, STEPS))
        equal = all(torch.equal(v, split.tensors()[k]) for k, v in resumed.tensors().items())
        found = [v.name for v in split.rescaler.rescaled] == names
        skipped = split.rescaler.skipped == reference.rescaler.skipped
        facts = {
            "same": same < 1e-12, "moved": before > 0.1, "resumed": equal, "found": found, "skipped": skipped
        }  # fmt: skip
        both: list[Any] = [None, None]
        dist.all_gather_object(both, [name for name, fact in facts.items() if not fact])
        if dist.get_rank() == 0:
            print(
                f"{options} boundaries {boundaries}: {len(names)} weights, apart by {same:.1e}, wrong:",
                *both,
                flush=True,
            )


if __name__ == "__main__":
    dist.init_process_group("gloo")
    for argument in sys.argv[2:]:
        compare(Path(sys.argv[1]), ast.literal_eval(argument))
    dist.barrier()
    dist.destroy_process_group()
    end_process(0)
