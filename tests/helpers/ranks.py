"""Run by test_ranks under torchrun: RTMDet on two processes, whose first batches differ as they can.

Its arguments are target_schedules of weight rescaling, ``rotational`` or ``projection``: a training for each.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
import torch.distributed as dist

import wrs_mm  # noqa: F401
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.distributed import end_process
from wrs_mm.openmmlab.synthetic import build_model, random_batch, train_loss
from wrs_mm.rescaling import RuledSteps, WeightProjection, WeightRescaler
from wrs_mm.rescaling.step_rules import Rotational


def method(model: torch.nn.Module, optimizer: torch.optim.Optimizer, name: str) -> Any:
    if name == "rotational":
        return RuledSteps(model, optimizer, Rotational(1e-2))
    if name == "projection":
        return WeightProjection(model, optimizer, interval=1)
    return WeightRescaler(model, optimizer, target_schedule=name)


def train(name: str) -> None:
    rank = dist.get_rank()
    model = build_model(load_config("mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-2)
    rescaler = method(model, optimizer, name)
    for step in range(3):
        batch = random_batch(model, size=(64, 64), seed=10 * step + rank, empty="all" if rank else False)
        with rescaler.observing():
            loss = train_loss(model, batch)
        optimizer.zero_grad()
        loss.backward()
        for parameter in model.parameters():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
        optimizer.step()
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    gathered = [torch.empty_like(weights) for _ in range(2)]
    dist.all_gather(gathered, weights)
    names = [None, None]
    dist.all_gather_object(
        names, [v.name for v in getattr(rescaler, "rescaled", rescaler.invariant_weights.selected)]
    )
    schedule = getattr(rescaler, "schedule", None)
    factors = torch.stack(list(schedule.factors.values())) if schedule else torch.ones(1)
    both = [torch.empty_like(factors) for _ in range(2)]
    dist.all_gather(both, factors)
    if rank == 0:
        print(
            f"{name}:",
            *("equal factors:", torch.equal(*both), "moved:", bool((factors != 1).all())),
            *("equal weights:", torch.equal(*gathered), "equal sets:", names[0] == names[1], len(names[0])),
        )


if __name__ == "__main__":
    dist.init_process_group("gloo")
    for schedule in sys.argv[1:]:
        train(schedule)
    end_process(0)
