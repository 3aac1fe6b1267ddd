"""How PyTorch computes in a training: as fast as it can where that changes nothing that counts."""

from __future__ import annotations

import torch


def set_numerics() -> None:
    """Set what a training computes with; call it once its runner is built.

    Numbers below 1e-38 are taken for zero on a CPU, which they slow tenfold: the gradients of a head that has
    died are nothing else.

    Where mmengine's ``deterministic=True`` has PyTorch refuse operations that have no deterministic form, a
    GPU warns of them instead. The loss of mmseg's segmentors and torchvision's RoI align are among them.
    """
    torch.set_flush_denormal(True)
    if torch.are_deterministic_algorithms_enabled() and torch.cuda.is_available():
        torch.use_deterministic_algorithms(True, warn_only=True)
