"""The curvature of a training loss: its sharpness, in all parameters and on the sphere of its filters."""

from __future__ import annotations

from wrs_mm.curvature.hessian import HessianProduct, SphereHessianProduct
from wrs_mm.curvature.lanczos import Eigenvalue, largest_eigenvalue
from wrs_mm.curvature.stability import largest_stable_sharpness
from wrs_mm.curvature.twice_differentiable import twice_differentiable

__all__ = [
    "Eigenvalue",
    "HessianProduct",
    "SphereHessianProduct",
    "largest_eigenvalue",
    "largest_stable_sharpness",
    "twice_differentiable",
]
