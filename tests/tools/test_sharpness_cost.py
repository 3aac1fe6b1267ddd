"""tools/perf/sharpness_cost.py: it measures each Hessian with as many products as it is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts import load_script

from wrs_mm import curvature
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "perf" / "sharpness_cost.py"


def test_a_step_and_a_product_with_each_hessian_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    script = load_script(SCRIPT, monkeypatch)
    products = []
    find = curvature.largest_eigenvalue

    def count(hessian: object, *arguments: object, **options: object) -> object:
        found = find(hessian, *arguments, **options)
        products.append((type(hessian).__name__, found.products))
        return found

    monkeypatch.setattr(script, "largest_eigenvalue", count)
    model = build_model(load_config("mini/pspnet_r18-narrow_mini-cityscapes"))
    batch = random_batch(model, batch_size=2, size=(64, 64))
    measured = dict(script.measure(model, batch, 2))
    assert list(measured) == [
        "forward and backward",
        "gradients that can be differentiated",
        "sharpness: a product",
        "sphere: a product",
        "sphere, at the filters' norms: a product",
    ]
    assert min(measured.values()) > 0
    assert products == [("HessianProduct", 2), ("SphereHessianProduct", 2), ("SphereHessianProduct", 2)]
