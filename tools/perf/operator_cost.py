"""What mmcv's operators cost here, beside torchvision's and, where there is one, a compiled mmcv's.

One thread, random features, milliseconds of the CPU, the least of some calls. ``--compiled`` names the file
of a compiled ``mmcv._ext``, to be measured in its place.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torchvision

import wrs_mm  # noqa: F401  (provides mmcv's operators)

CALLS = 5


def milliseconds(call: Callable[[], Any]) -> float:
    """Of the CPU, the least of some calls after a first one."""
    call()
    times = []
    for _ in range(CALLS):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return 1e3 * min(times)


def forward_and_backward(call: Callable[[], torch.Tensor], leaves: list[torch.Tensor]) -> list[float]:
    """Milliseconds of the forward, and of the backward."""
    out = call()
    gradient = torch.randn_like(out)
    return [
        milliseconds(call),
        milliseconds(lambda: torch.autograd.grad(out, leaves, gradient, retain_graph=True)),
    ]


@contextlib.contextmanager
def extension(module: Any) -> Iterator[None]:
    """Have mmcv call another extension module."""
    users = [
        sys.modules[f"mmcv.ops.{name}"]
        for name in ("deform_conv", "modulated_deform_conv", "roi_align", "nms")
    ]
    before = [user.ext_module for user in users]
    for user in users:
        user.ext_module = module
    yield
    for user, ours in zip(users, before, strict=True):
        user.ext_module = ours


def cases() -> Iterator[tuple[str, Callable[[], list[float]], Callable[[], list[float]] | None, bool]]:
    """Name, ours (through mmcv), torchvision's or None, whether compiled mmcv has it for CPUs."""
    import mmcv.ops as ops

    x = torch.randn(2, 64, 32, 32, requires_grad=True)
    weight = torch.randn(64, 64, 3, 3, requires_grad=True)
    offset, mask = (
        torch.randn(2, 18, 32, 32, requires_grad=True),
        torch.rand(2, 9, 32, 32, requires_grad=True),
    )
    both = torchvision.ops
    yield (
        "deform_conv2d, 64 channels of 32 × 32",
        lambda: forward_and_backward(lambda: ops.deform_conv2d(x, offset, weight, 1, 1), [x, offset, weight]),
        lambda: forward_and_backward(
            lambda: both.deform_conv2d(x, offset, weight, None, 1, 1), [x, offset, weight]
        ),
        True,
    )
    leaves = [x, offset, mask, weight]
    yield (
        "modulated_deform_conv2d, the same",
        lambda: forward_and_backward(lambda: ops.modulated_deform_conv2d(*leaves, None, 1, 1), leaves),
        lambda: forward_and_backward(
            lambda: both.deform_conv2d(x, offset, weight, None, 1, 1, 1, mask), leaves
        ),
        True,
    )
    features = torch.randn(2, 256, 32, 32, requires_grad=True)
    corner = 100 * torch.rand(128, 2)
    rois = torch.cat([torch.randint(0, 2, (128, 1)), corner, corner + 80 * torch.rand(128, 2)], dim=1)
    for mode in ("avg", "max"):
        for ratio in (2, 0):
            yield (
                f"roi_align, {mode}, {ratio or 'a sample a cell'}, 128 regions of 256 channels",
                lambda mode=mode, ratio=ratio: forward_and_backward(
                    lambda: ops.roi_align(features, rois, 7, 0.25, ratio, mode, True), [features]
                ),
                (lambda ratio=ratio: forward_and_backward(
                    lambda: both.roi_align(features, rois, 7, 0.25, ratio, True), [features]
                )) if mode == "avg" else None,
                True,
            )  # fmt: skip
    yield (
        "roi_pool, the same",
        lambda: forward_and_backward(lambda: ops.roi_pool(features, rois, 7, 0.25), [features]),
        lambda: forward_and_backward(lambda: both.roi_pool(features, rois, 7, 0.25), [features]),
        False,
    )
    for count, size in ((100, 300), (1000, 300), (1000, 1000), (2000, 300)):
        corner = size * torch.rand(count, 2)
        boxes = torch.cat([corner, corner + 20 + 100 * torch.rand(count, 2)], dim=1)
        scores = torch.rand(count)
        for method in ("linear", "gaussian"):
            yield (
                f"soft_nms, {method}, {count} boxes on {size} pixels",
                lambda boxes=boxes, scores=scores, method=method: [
                    milliseconds(lambda: ops.soft_nms(boxes, scores, 0.3, method=method))
                ],
                None,
                True,
            )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiled", type=Path)
    compiled = None
    path = parser.parse_args().compiled
    if path is not None:
        spec = importlib.util.spec_from_file_location(path.name.partition(".")[0], path)
        assert spec is not None and spec.loader is not None
        compiled = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(compiled)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| operator | ms | of torchvision's | of compiled mmcv's |\n|---|--:|--:|--:|")
    for name, ours, theirs, has_compiled in cases():
        mine = ours()
        cells = [" + ".join(f"{value:.1f}" for value in mine)]
        cells.append(ratios(mine, theirs()) if theirs else "")
        with extension(compiled) if compiled else contextlib.nullcontext():
            cells.append(ratios(mine, ours()) if compiled and has_compiled else "")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def ratios(ours: list[float], theirs: list[float]) -> str:
    """How many times as long ours took."""
    return " + ".join(f"{mine / other:.1f}" for mine, other in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    main()
