"""What one weight rescale costs, beside what it replaces: on ResNet-50's convolutions, in one process.

Interleaved, medians: a rescale with fold against a plain copy of the same bytes; an SGD step without weight
decay plus the rescale against an SGD step with weight decay, and the latter plus a rescale whose targets
follow weight decay. ``--detector`` also times the observed first forward of Faster R-CNN R50-FPN against an
unobserved one. ``--arms`` instead times the step of every arm beside that of SGD with weight decay, on the
weights of ResNet-50 and of Mask R-CNN, at one and two threads; ``--cards`` writes it into docs/regularizers.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torchvision
from arm_costs import (
    CARDS,
    FROM_SCRATCH,
    RECIPES,
    WHOLE_STEP_SIZE,
    changes_layers,
    measure,
    measure_whole_steps,
    write_card,
)
from torch import nn

from wrs_mm import regularizers
from wrs_mm.errors import UsageError
from wrs_mm.rescaling import WeightRescaler, observe

RATIOS = (
    ("rescale", "copy"),
    ("SGD with WRS", "SGD with weight decay"),
    ("SGD with matched WRS", "SGD with WRS"),
    ("fused SGD with WRS", "fused SGD with weight decay"),
)
"""Which of :func:`resnet50_steps` is measured against which."""


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


def resnet50_steps(device: str = "cpu") -> dict[str, Callable[[], None]]:
    """A copy, a rescale and optimizer steps on ResNet-50's convolutions, PyTorch's default ones and fused."""
    model = torchvision.models.resnet50().to(device)
    convolutions = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d)]
    for weight in convolutions:
        weight.grad = torch.randn_like(weight) * 1e-3
    copies = [torch.empty_like(weight) for weight in convolutions]

    def sgd(weight_decay: float = 0.0, **options: bool) -> torch.optim.SGD:
        return torch.optim.SGD(convolutions, lr=1e-3, momentum=0.9, weight_decay=weight_decay, **options)

    rescaled, fused, matched = sgd(), sgd(fused=True), sgd(1e-4)
    rescaler = WeightRescaler(model, rescaled, interval=1)
    fused_rescaler = WeightRescaler(model, fused, interval=1)
    follower = WeightRescaler(model, matched, interval=1, target_schedule="decay_and_growth_by_layer")
    for each in (rescaler, fused_rescaler, follower):
        with each.observing():
            model(torch.randn(2, 3, 64, 64, device=device)).sum()
        if len(each.rescaled) != len(convolutions):
            raise SystemExit("not every convolution was found scale-invariant")

    def copy() -> None:
        with torch.no_grad():
            for target, weight in zip(copies, convolutions, strict=True):
                target.copy_(weight)

    return {
        "copy": copy,
        "rescale": rescaler.rescale,
        "SGD without either": sgd().step,
        "SGD with weight decay": sgd(1e-4).step,
        "SGD with WRS": rescaled.step,
        "SGD with matched WRS": matched.step,
        "fused SGD with weight decay": sgd(1e-4, fused=True).step,
        "fused SGD with WRS": fused.step,
    }


def step_costs(repeats: int, device: str = "cpu") -> dict[str, float]:
    """Median seconds of each of :func:`resnet50_steps`."""
    return interleaved(resnet50_steps(device), repeats)


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


def arm_costs(args: argparse.Namespace) -> None:
    """Measure the arms, print the figures, and write them into the cards."""
    arms = args.arms or regularizers.names()
    rows = []
    layers = [arm for arm in arms if changes_layers(arm)]
    others = [arm for arm in arms if arm not in layers]
    for model in args.models if others else []:
        rows += measure(model, others, args.threads, args.repeats, args.size, interleaved, args.optimizer)
    if layers:
        repeats = max(5, args.repeats // 5)  # a whole step takes many times longer
        rows += measure_whole_steps(FROM_SCRATCH, layers, args.threads, repeats, WHOLE_STEP_SIZE, interleaved)
    print(f"torch {torch.__version__}, medians of {args.repeats}")
    for row in rows:
        figures = f"{row['ratio']:6.2f} of the time, {row['memory']:+6.2f} of the memory"
        print(f"{row['model']:24} {row['threads']} threads  {row['arm']:14} {figures}")
    if args.cards:
        where = f"torch {torch.__version__} on a CPU"
        for arm in arms:
            own = [row for row in rows if row["arm"] == arm]
            if own and not write_card(CARDS / f"{arm}.md", own, where):
                print(f"{CARDS / arm}.md has no place for it: <!-- step_cost --> and <!-- /step_cost -->")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=50, help="counted calls of each (default: 50)")
    parser.add_argument("--detector", action="store_true", help="also time the observed forward")
    parser.add_argument("--arms", nargs="*", metavar="ARM", help="time the steps of arms (default: of all)")
    parser.add_argument("--cards", action="store_true", help="with --arms: write the figures into the cards")
    parser.add_argument(
        "--models", nargs="+", default=list(RECIPES), help="with --arms: names in torchvision, or recipes"
    )
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="with --arms (default: 1 2)")
    parser.add_argument(
        "--size", type=int, default=64, help="with --arms: pixels of images that find weights (default: 64)"
    )
    parser.add_argument("--optimizer", help="with --arms: in place of the recipe's, by its name in mmengine")
    args = parser.parse_args()
    if args.cards and args.optimizer:
        parser.error("cards hold the costs beside the recipe's optimizer: leave --optimizer or --cards out")
    if args.arms is not None:
        try:
            arm_costs(args)
        except UsageError as error:
            parser.error(str(error))
        return
    costs = step_costs(args.repeats)
    ratios = list(RATIOS)
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
