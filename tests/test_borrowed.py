"""Whoever borrows the global generators gives them back (wrs_mm.openmmlab.generators)."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from wrs_mm.openmmlab.generators import kept_generators


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
