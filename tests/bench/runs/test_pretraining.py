"""What a pretraining leaves behind."""

from __future__ import annotations

from pathlib import Path

import torch

from wrs_mm.bench.runs.pretraining import save_backbone
from wrs_mm.openmmlab.backbone_weights import backbone_state


def test_the_backbone_of_the_last_checkpoint_is_kept_under_its_own_names(tmp_path: Path) -> None:
    for iteration in (4, 8):
        state = {"backbone.conv.weight": torch.full((2,), float(iteration)), "head.weight": torch.ones(3)}
        torch.save({"state_dict": state}, tmp_path / f"iter_{iteration}.pth")
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "iter_8.pth"))
    save_backbone(tmp_path, tmp_path / "backbone.pt")
    kept = backbone_state(tmp_path / "backbone.pt")
    assert list(kept) == ["conv.weight"] and kept["conv.weight"].tolist() == [8.0, 8.0]
