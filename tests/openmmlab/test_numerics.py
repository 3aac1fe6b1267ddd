"""What a training computes with (wrs_mm.openmmlab.numerics)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from wrs_mm.openmmlab.numerics import set_numerics


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    was, warned = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.set_flush_denormal(False)
    yield
    torch.set_flush_denormal(False)
    torch.use_deterministic_algorithms(was, warn_only=warned)


def test_numbers_that_are_too_small_to_be_fast_are_zero() -> None:
    assert torch.tensor([1e-40]).item() > 0
    set_numerics()
    assert torch.tensor([1e-40]).item() == 0


@pytest.mark.parametrize("gpu", [True, False])
@pytest.mark.parametrize("deterministic", [True, False])
def test_a_gpu_warns_of_what_has_no_deterministic_form_and_a_cpu_refuses_it(
    gpu: bool, deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    torch.use_deterministic_algorithms(deterministic)
    set_numerics()
    assert torch.are_deterministic_algorithms_enabled() == deterministic
    assert torch.is_deterministic_algorithms_warn_only_enabled() == (gpu and deterministic)
