"""What one weight rescale costs, beside what it replaces: on ResNet-50's convolutions, in one process.

Interleaved, medians: a rescale with fold against a plain copy of the same bytes; an SGD step without weight
decay plus the rescale against an SGD step with weight decay, and the latter plus a rescale whose targets
follow weight decay. ``--detector`` also times the observed first forward of Faster R-CNN R50-FPN against an
unobserved one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torchvision
from torch import nn

from wrs_mm.rescaling import WeightRescaler, observe


def interleaved(functions: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median seconds of each function, called in turn, until what it began on a GPU has ended."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else (lambda: None)
    times: dict[str, list[float]] = {name: [] for name in functions}
    for repeat in range(repeats + 3):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            wait()
            if repeat >= 3:  # the first are warm-up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def step_costs(repeats: int, device: str = "cpu") -> dict[str, float]:
    """Median seconds of a copy, a rescale and optimizer steps on ResNet-50's convolutions."""
    model = torchvision.models.resnet50().to(device)
    convolutions = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d)]
    for weight in convolutions:
        weight.grad = torch.randn_like(weight) * 1e-3
    copies = [torch.empty_like(weight) for weight in convolutions]
    decayed = torch.optim.SGD(convolutions, lr=1e-3, momentum=0.9, weight_decay=1e-4)
    rescaled = torch.optim.SGD(convolutions, lr=1e-3, momentum=0.9)
    rescaler = WeightRescaler(model, rescaled, interval=1)
    matched = torch.optim.SGD(convolutions, lr=1e-3, momentum=0.9, weight_decay=1e-4)
    follower = WeightRescaler(model, matched, interval=1, target_schedule="decay_and_growth")
    for each in (rescaler, follower):
        with each.observing():
            model(torch.randn(2, 3, 64, 64, device=device)).sum()
        if len(each.rescaled) != len(convolutions):
            raise SystemExit("not every convolution was found scale-invariant")

    def copy() -> None:
        with torch.no_grad():
            for target, weight in zip(copies, convolutions, strict=True):
                target.copy_(weight)

    return interleaved(
        {
            "copy": copy,
            "rescale": rescaler.rescale,
            "SGD with weight decay": decayed.step,
            "SGD with WRS": rescaled.step,
            "SGD with matched WRS": matched.step,
        },
        repeats,
    )


def observing_costs(repeats: int) -> dict[str, float]:
    """Median seconds of an observed and an unobserved forward of Faster R-CNN R50-FPN."""
    from wrs_mm.openmmlab.configs import load_config
    from wrs_mm.openmmlab.synthetic import build_model, random_batch, train_loss

    model = build_model(load_config("mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"))
    batch = random_batch(model, size=(256, 256))

    def plain() -> None:
        train_loss(model, batch, seed=0)

    def observed() -> None:
        with observe(model):
            train_loss(model, batch, seed=0)

    return interleaved({"forward": plain, "observed forward": observed}, repeats)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=50, help="counted calls of each (default: 50)")
    parser.add_argument("--detector", action="store_true", help="also time the observed forward")
    args = parser.parse_args()
    costs = step_costs(args.repeats)
    ratios = [("rescale", "copy"), ("SGD with WRS", "SGD with weight decay")]
    ratios.append(("SGD with matched WRS", "SGD with WRS"))
    if args.detector:
        costs |= observing_costs(max(5, args.repeats // 10))
        ratios.append(("observed forward", "forward"))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, medians")
    for name, seconds in costs.items():
        print(f"{name:24} {seconds * 1e3:9.2f} ms")
    for name, reference in ratios:
        print(f"{name} / {reference} = {costs[name] / costs[reference]:.3f}")


if __name__ == "__main__":
    main()
