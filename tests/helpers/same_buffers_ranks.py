"""Run by test_same_buffers_hook under torchrun: what each process validates and tests with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from wrs_mm.openmmlab.distributed import end_process
from wrs_mm.openmmlab.protection import SameBuffersHook


def main() -> None:
    rank = dist.get_rank()
    for moment in ("val", "test"):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        nn.init.constant_(model[0].weight, float(rank))
        # As in training: each process has normalized its own images.
        model[1].running_mean.fill_(rank + 1.0)
        model[1].num_batches_tracked.fill_(7 + rank)
        runner: Any = SimpleNamespace(model=model)
        getattr(SameBuffersHook(), f"before_{moment}_epoch")(runner)
        same = bool((model[1].running_mean == 1).all()) and int(model[1].num_batches_tracked) == 7
        # Parameters are the training's own affair.
        own = bool((model[0].weight == rank).all())
        found: list[Any] = [None, None]
        dist.all_gather_object(found, (same, own))
        # By one process: the lines of two end up within one another.
        if rank == 0:
            for process, (same, own) in enumerate(found):
                print(f"{moment}, rank {process}: the first one's buffers: {same}, its own parameters: {own}")


if __name__ == "__main__":
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    main()
    dist.barrier()
    dist.destroy_process_group()
    end_process(0)
