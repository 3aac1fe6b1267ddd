"""A model in another precision: wrs_mm.audit.precision."""

from __future__ import annotations

import torch
from torch import nn

from wrs_mm.audit.precision import copy_in


class Distilling(nn.Module):
    """Holds its teacher and takes a device alone, as mmdet's KnowledgeDistillationSingleStageDetector."""

    def __init__(self) -> None:
        super().__init__()
        self.student = nn.Conv2d(3, 4, 3)
        object.__setattr__(self, "teacher_model", nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))

    def to(self, device: str) -> nn.Module:  # type: ignore[override]
        return super().to(device=device)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.student(x) - self.teacher_model(x)).square().mean()


def test_a_teacher_that_is_no_submodule_has_the_precision_too() -> None:
    model = Distilling()
    copied = copy_in(model, torch.float64)
    assert copied(torch.randn(2, 3, 8, 8, dtype=torch.float64)).dtype is torch.float64
    assert copied.teacher_model is not model.teacher_model
    assert {p.dtype for p in (*model.parameters(), *model.teacher_model.parameters())} == {torch.float32}
