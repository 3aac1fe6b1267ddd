"""The largest eigenvalue, against LAPACK and ARPACK."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import eigsh

from wrs_mm.curvature import largest_eigenvalue


def symmetric(values: torch.Tensor, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    n = len(values)
    basis, _ = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    return basis * values @ basis.T


def start(n: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(1), dtype=dtype)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_largest_one_even_where_a_negative_one_is_larger_in_size(seed: int) -> None:
    values = torch.linspace(-9, 4, 60, dtype=torch.float64)
    matrix = symmetric(values, seed)
    found = largest_eigenvalue(lambda v: matrix @ v, start(60), tolerance=1e-8)
    assert found.value == pytest.approx(4, rel=1e-7) and found.error <= 1e-8 * found.value
    assert found.products < 60
    (expected,) = eigsh(matrix.numpy(), k=1, which="LA", return_eigenvectors=False)
    assert found.value == pytest.approx(float(expected), rel=1e-7)


@pytest.mark.parametrize("products", [2, 5, 10, 20])
def test_an_eigenvalue_lies_within_the_error(products: int) -> None:
    values = torch.cat([torch.linspace(0, 1, 150, dtype=torch.float64) ** 3, torch.tensor([1.05, 3.0])])
    matrix = symmetric(values)
    found = largest_eigenvalue(lambda v: matrix @ v, start(152), tolerance=0, most_products=products)
    assert found.products == products
    assert float((values - found.value).abs().min()) <= found.error + 1e-12


def test_hundreds_of_products_in_single_precision_find_it_as_well() -> None:
    values = torch.linspace(0, 1, 200, dtype=torch.float64) ** 0.2  # many beside the largest
    matrix = symmetric(values).float()
    found = largest_eigenvalue(
        lambda v: matrix @ v, start(200, torch.float32), tolerance=1e-7, most_products=500
    )
    assert found.value == pytest.approx(1, rel=1e-4)


def test_a_matrix_of_few_directions_ends_with_them() -> None:
    matrix = torch.zeros(8, 8, dtype=torch.float64)
    assert largest_eigenvalue(lambda v: matrix @ v, start(8)).value == 0
    matrix[2, 2] = 5
    found = largest_eigenvalue(lambda v: matrix @ v, start(8), tolerance=1e-12)
    assert found.value == pytest.approx(5) and found.products <= 3


def test_what_is_not_finite_is_nan() -> None:
    found = largest_eigenvalue(lambda v: v * torch.inf, start(4))
    assert np.isnan(found.value) and found.products == 1
