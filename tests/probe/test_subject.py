"""What is probed: precision, the weights that are found, and copies that leave the original alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_networks import Segmentor
from torch import Tensor, nn

from wrs_mm.errors import ModelError, NotFiniteError
from wrs_mm.probe.subject import make_subject


def batches(count: int = 2) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(0)
    return [{"inputs": torch.randn(3, 2, 8, 4, generator=generator)} for _ in range(count)]


def network(*more: nn.Module) -> Segmentor:
    torch.manual_seed(0)
    return Segmentor(nn.Conv2d(2, 5, 1), nn.BatchNorm2d(5), *more, nn.Conv2d(5, 4, 1))


def test_it_is_float64_and_batches_come_in_turns() -> None:
    model = network()
    subject = make_subject(model, batches())
    assert subject.dtype is torch.float64 and subject.loss().dtype is torch.float64
    assert [v.name for v in subject.verdicts] == ["layers.0.weight"]
    assert subject.filters() == {"layers.0.weight": slice(0, 5)}
    losses = [float(subject.loss(number)) for number in range(4)]
    assert losses[0] == losses[2] != losses[1] == losses[3]
    assert model.layers[0].weight.dtype is torch.float32
    assert torch.get_default_dtype() is torch.float32


def test_what_cannot_run_in_float64_runs_in_float32() -> None:
    class OnlyFloat32(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.dtype is torch.float64:
                raise RuntimeError("not implemented for 'Double'")
            return x

    assert make_subject(network(OnlyFloat32()), batches()).dtype is torch.float32


def test_what_cannot_run_at_all_says_so_itself() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        make_subject(network(Broken()), batches())


def test_a_copy_has_weights_and_eps_of_its_own() -> None:
    subject = make_subject(network(), batches())
    copy = subject.copy(eps=1e-30)
    assert copy.model.layers[1].eps == 1e-30 and subject.model.layers[1].eps == 1e-5
    with torch.no_grad():
        copy.weights()[0].parameter.zero_()
    assert subject.weights()[0].parameter.any()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Segmentor(nn.Conv2d(2, 4, 1)), "none feeds a norm layer"),
        (Segmentor(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4).eval()), "layers.0.weight feeds layers.1, frozen"),
    ],
)
def test_a_network_without_batch_normalization_that_trains_is_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(ModelError, match=f"nothing to probe: {message}"):
        make_subject(model, batches())


def test_a_loss_that_is_not_finite_ends_the_probe() -> None:
    subject = make_subject(network(), batches())
    with torch.no_grad():
        subject.model.layers[2].weight.fill_(torch.inf)
    with pytest.raises(NotFiniteError, match="choose a smaller --lr"):
        subject.loss()
