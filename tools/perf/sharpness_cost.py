"""What one measurement of SharpnessHook costs: seconds and memory, beside a training step on its batch."""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from typing import Any

import torch

from wrs_mm.curvature import HessianProduct, SphereHessianProduct, largest_eigenvalue, twice_differentiable
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch, train_loss
from wrs_mm.rescaling import judge, observe


def peak() -> float:
    """GB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(model: torch.nn.Module, batch: Any, products: int) -> Iterator[tuple[str, float]]:
    """What is measured, and its seconds: a training step, gradients to differentiate, a product of each."""
    trained = [p for p in model.parameters() if p.requires_grad]
    for _ in range(2):  # the first allocates
        began = time.perf_counter()
        torch.autograd.grad(train_loss(model, batch, seed=0), trained, allow_unused=True)
        step = time.perf_counter() - began
    yield "forward and backward", step
    began = time.perf_counter()
    with twice_differentiable(), observe(model) as observation:
        loss = train_loss(model, batch, seed=0)
    names = dict(model.named_parameters())
    weights = [(names[v.name], v.transposed_groups) for v in judge(observation) if v.watched]
    hessians: dict[str, Any] = {"sharpness": HessianProduct(loss, trained)}
    if weights:
        hessians["sphere"] = SphereHessianProduct(loss, weights)
        hessians["sphere, at the filters' norms"] = SphereHessianProduct(loss, weights, [1.0] * len(weights))
    yield "gradients that can be differentiated", time.perf_counter() - began
    for name, hessian in hessians.items():
        began = time.perf_counter()
        found = largest_eigenvalue(hessian, torch.randn(hessian.size), tolerance=1e-9, most_products=products)
        yield f"{name}: a product", (time.perf_counter() - began) / found.products


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="?", default="mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py")
    parser.add_argument("--size", type=int, default=256, help="pixels of the images (default: 256)")
    parser.add_argument("--batch-size", type=int, default=2, help="how many images (default: 2)")
    parser.add_argument("--products", type=int, default=10, help="with each Hessian (default: 10)")
    args = parser.parse_args()
    config = load_config(args.config)
    config.model.backbone.norm_eval = False
    model = build_model(config)
    batch = random_batch(model, batch_size=args.batch_size, size=(args.size, args.size))
    numbers = sum(p.numel() for p in model.parameters() if p.requires_grad)
    print(f"{numbers / 1e6:.1f} million numbers; held before: {peak():.2f} GB")
    step = None
    for name, seconds in measure(model, batch, args.products):
        step = seconds if step is None else step
        print(f"{name}: {seconds:.2f} s, {seconds / step:.1f} × a step; held at most {peak():.2f} GB")


if __name__ == "__main__":
    main()
