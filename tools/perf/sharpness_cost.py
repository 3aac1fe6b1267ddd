"""What one measurement of SharpnessHook costs: seconds and memory, beside a training step on its batch."""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

import torch

from wrs_mm.curvature import HessianProduct, SphereHessianProduct, largest_eigenvalue, twice_differentiable
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch, train_loss
from wrs_mm.rescaling import judge, observe


def peak() -> float:
    """GB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


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
    trained = [p for p in model.parameters() if p.requires_grad]

    def step() -> None:
        torch.autograd.grad(train_loss(model, batch, seed=0), trained, allow_unused=True)

    step()
    print(f"{sum(p.numel() for p in trained) / 1e6:.1f} million numbers; held before: {peak():.2f} GB")
    began = time.perf_counter()
    step()
    one = time.perf_counter() - began
    print(f"forward and backward: {one:.2f} s, held at most {peak():.2f} GB")
    began = time.perf_counter()
    with twice_differentiable(), observe(model) as observation:
        loss = train_loss(model, batch, seed=0)
    names = dict(model.named_parameters())
    weights = [(names[v.name], v.transposed_groups) for v in judge(observation) if v.watched]
    products: list[Any] = [HessianProduct(loss, trained)]
    if weights:
        products.append(SphereHessianProduct(loss, weights))
        products.append(SphereHessianProduct(loss, weights, [1.0] * len(weights)))
    print(f"gradients that can be differentiated: {(time.perf_counter() - began) / one:.1f} × that")
    for product in products:
        began = time.perf_counter()
        start = torch.randn(product.size)
        found = largest_eigenvalue(product, start, tolerance=1e-9, most_products=args.products)
        each = (time.perf_counter() - began) / found.products
        print(f"{type(product).__name__}: {each / one:.1f} × that for each product")
    print(f"held at most {peak():.2f} GB")


if __name__ == "__main__":
    main()
