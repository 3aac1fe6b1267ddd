"""What a pretraining leaves behind for those that start from it."""

from __future__ import annotations

from pathlib import Path

import torch

from wrs_mm.files import open_atomically
from wrs_mm.openmmlab.backbone_weights import backbone_state
from wrs_mm.openmmlab.checkpoints import last_checkpoint


def save_backbone(folder: Path, file: Path) -> None:
    """Write the backbone's weights of a training's last checkpoint, under the backbone's own names.

    Args:
        folder: The folder of the training, which has ended; an average of weights (EMA) that it was validated
            with is what its checkpoint has.
        file: What is written.
    """
    checkpoint = last_checkpoint(folder)
    assert checkpoint is not None, "a training that has ended has saved its last weights"
    with open_atomically(file, "wb") as stream:
        torch.save({"state_dict": backbone_state(checkpoint)}, stream)
