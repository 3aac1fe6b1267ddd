"""The largest eigenvalue of a symmetric matrix that is known by its products, in little memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Eigenvalue:
    """An eigenvalue as Lanczos's method found it.

    Attributes:
        value: The eigenvalue.
        error: Some eigenvalue of the matrix lies within this distance of ``value``.
        products: How many products of the matrix with a vector it took.
    """

    value: float
    error: float
    products: int


def largest_eigenvalue(
    multiply: Callable[[Tensor], Tensor], start: Tensor, *, tolerance: float = 1e-2, most_products: int = 100
) -> Eigenvalue:
    """The (algebraically) largest eigenvalue, by Lanczos's method without reorthogonalization.

    ARPACK (``scipy.sparse.linalg.eigsh``) keeps twenty vectors in float64, seven gigabytes for a detector
    with a ResNet-50; this keeps three in the precision of ``start``. What is lost in orthogonality makes
    copies of eigenvalues that are found already and leaves the largest as exact as it is (Paige, «Error
    analysis of the Lanczos algorithm for tridiagonalizing a symmetric matrix», 1976).

    Args:
        multiply: From a vector ``(n,)`` to the product, ``(n,)``.
        start: ``(n,)`` any vector that is not zero and not orthogonal to the eigenvector; a random one.
        tolerance: Done when the error is at most this share of the value.
        most_products: Done after this many products whatever the error is, which is then in the result.

    Returns:
        The eigenvalue; NaN where a product is not finite.
    """
    from scipy.linalg import eigh_tridiagonal

    vector, before = start / start.norm(), torch.zeros_like(start)
    diagonal: list[float] = []
    beside: list[float] = []  # above and below the diagonal
    value = error = float("nan")
    for products in range(1, most_products + 1):
        product = multiply(vector)
        diagonal.append(float(vector @ product))
        product = product - diagonal[-1] * vector
        if beside:
            product -= beside[-1] * before
        rest = float(product.norm())
        if not (math.isfinite(diagonal[-1]) and math.isfinite(rest)):
            return Eigenvalue(float("nan"), float("nan"), products)
        last = len(diagonal) - 1
        values, vectors = eigh_tridiagonal(diagonal, beside, select="i", select_range=(last, last))
        value, error = float(values[0]), rest * abs(float(vectors[-1, 0]))
        if error <= tolerance * abs(value):
            break
        beside.append(rest)
        before, vector = vector, product / rest
    return Eigenvalue(value, error, products)
