"""Whoever borrows the global generators, or a model's buffers, gives them back (wrs_mm.borrowed)."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from wrs_mm.borrowed import kept_buffers, kept_generators


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), torch.rand(()).item()


def test_what_is_drawn_and_seeded_in_between_is_not_noticed_even_where_it_fails() -> None:
    with kept_generators():
        expected = [draws(), draws()]
    with kept_generators():
        found = [draws()]
        with pytest.raises(ZeroDivisionError), kept_generators():
            torch.manual_seed(1)
            np.random.seed(1)
            random.seed(1)
            _ = 1 / 0
        found.append(draws())
    assert found == expected


def test_buffers_are_put_back_even_where_it_fails_and_those_that_are_new_stay() -> None:
    norm = torch.nn.BatchNorm1d(2)
    before = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    with pytest.raises(ZeroDivisionError), kept_buffers(norm):
        norm(torch.randn(4, 2))
        norm.register_buffer("new", torch.ones(1))
        assert not torch.equal(norm.running_mean, before["running_mean"])
        _ = 1 / 0
    assert all(torch.equal(norm.get_buffer(name), buffer) for name, buffer in before.items())
    assert norm.new == 1
