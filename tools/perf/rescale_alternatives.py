"""Other ways to compute a rescale, timed beside ours and a copy: what docs/cost.md says of them.

    python tools/perf/rescale_alternatives.py
    python tools/perf/rescale_alternatives.py --parts      # ours, in parts of other sizes

On ResNet-50's convolutions, interleaved, medians. Each writes ``w_i ← w_i / ‖w_i‖`` and nothing else: no
fold, no dead filters, no targets, which ours has.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable

import torch
import torchvision
from step_cost import interleaved, resnet50_steps
from torch import Tensor

from wrs_mm.rescaling import buckets


def by_weight(rows: list[Tensor]) -> None:
    """A norm and a division for each weight."""
    for row in rows:
        row.div_(torch.linalg.vector_norm(row, dim=1, keepdim=True))


def foreach(rows: list[Tensor]) -> None:
    """All divisions as one operation on a list."""
    torch._foreach_div_(rows, [torch.linalg.vector_norm(row, dim=1, keepdim=True) for row in rows])


def product(rows: list[Tensor]) -> None:
    """Squares summed up as a product of matrices would be."""
    for row in rows:
        row.mul_(torch.einsum("ij,ij->i", row, row).rsqrt_()[:, None])


def alternatives(weights: list[Tensor]) -> dict[str, Callable[[], None]]:
    """The ways, by name, each with weights of its own: what one leaves in a cache is no other's.

    Args:
        weights: Of convolutions.
    """
    ways = {
        "weight by weight": by_weight,
        "`foreach`": foreach,
        "a product in place of the norm": product,
        "`torch.compile`": torch.compile(by_weight),
    }
    rows = {name: [weight.detach().clone().flatten(1) for weight in weights] for name in ways}
    return {name: functools.partial(way, rows[name]) for name, way in ways.items()}


PARTS = [1 << power for power in (16, 18, 19, 20, 21, 23)]
"""Sizes of the parts that a large weight is rescaled in, in numbers."""


def in_parts() -> dict[str, Callable[[], None]]:
    """A rescale of ours for each of :data:`PARTS`, of a model of its own."""
    usual, functions = buckets.CACHED_NUMBERS, {}
    for size in PARTS:
        buckets.CACHED_NUMBERS = size
        rescale = resnet50_steps()["rescale"]
        rescale()  # the parts are cut the first time
        functions[f"in parts of {size:,} numbers"] = rescale
    buckets.CACHED_NUMBERS = usual
    return functions


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=40, help="counted calls of each (default: 40)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--parts", action="store_true", help="compare sizes of parts instead")
    args = parser.parse_args()
    steps = resnet50_steps()
    model = torchvision.models.resnet50()
    weights = [m.weight for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    others = in_parts() if args.parts else {"ours": steps["rescale"], **alternatives(weights)}
    functions = {"copy": steps["copy"], **others}
    columns = []
    for threads in args.threads:
        torch.set_num_threads(threads)
        with torch.no_grad():
            columns.append(interleaved(functions, args.repeats))
    print("| | " + " | ".join(f"{t} thread{'s' * (t > 1)}, in copies" for t in args.threads) + " |")
    print("| :-- |" + " --: |" * len(columns))
    for name in list(functions)[1:]:
        print(f"| {name} | " + " | ".join(f"{c[name] / c['copy']:.2f}" for c in columns) + " |")


if __name__ == "__main__":
    main()
