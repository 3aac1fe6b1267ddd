"""Run by test_sync_bn under torchrun: MMSyncBN on two processes is BN on both batches together.

The second process has a batch as large as the first's («equal»), then none («empty»), for which mmcv has the
mode that counts images.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from layouts import random
from torch import nn

import wrs_mm  # noqa: F401
from wrs_mm.openmmlab.distributed import end_process


def main(case: str) -> None:
    from mmcv.ops import SyncBatchNorm

    rank = dist.get_rank()
    whole = random(4, 3, 5, 6, dtype=torch.float32)
    target = random(4, 3, 5, 6, seed=1, dtype=torch.float32)
    first = 2 if case == "equal" else 4
    mine = slice(0, first) if rank == 0 else slice(first, 4)
    ours = SyncBatchNorm(3, stats_mode="default" if case == "equal" else "N")
    nn.init.ones_(ours.weight)
    theirs = nn.BatchNorm2d(3)
    x, y = whole[mine].clone().requires_grad_(), whole.clone().requires_grad_()
    # The mean over processes of their mean losses, as DDP has it.
    batches = 2 if case == "equal" else 1
    out, expected = ours(x), theirs(y)
    (out * target[mine]).sum().backward()
    (expected * target).sum().backward()
    torch.testing.assert_close(out, expected[mine])
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    if case == "equal":
        torch.testing.assert_close(ours.running_var, theirs.running_var)
        torch.testing.assert_close(x.grad, y.grad[mine])
        torch.testing.assert_close(ours.weight.grad * batches, theirs.weight.grad)
        torch.testing.assert_close(ours.bias.grad * batches, theirs.bias.grad)
    print(f"{case}, rank {rank}: as one process", flush=True)


if __name__ == "__main__":
    dist.init_process_group("gloo")
    for case in ("equal", "empty"):
        main(case)
    dist.barrier()
    dist.destroy_process_group()
    end_process(0)
