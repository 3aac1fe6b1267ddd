"""``wrs-mm rescale-checkpoint``: see :mod:`wrs_mm.rescale_checkpoint`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from wrs_mm.cli.train import add_config_argument
from wrs_mm.rescale_checkpoint import rescale_checkpoint
from wrs_mm.rescaling.options import GRANULARITIES
from wrs_mm.rescaling.verdicts import shorten

_UNITS = {
    "filter": "filters",
    "group": "filters, those that norm layers take together in root mean square,",
    "layer": "filters, whole weights at a time,",
}
"""What is said to have the target norm, by granularity."""


def _target_norm(text: str) -> str | float:
    """``unit`` or a number > 0, from the command line."""
    if text == "unit":
        return text
    if text == "init":
        raise argparse.ArgumentTypeError("'init' is the norms that the checkpoint has already")
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither 'unit' nor a number > 0")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``wrs-mm rescale-checkpoint``."""
    add_config_argument(parser)
    parser.add_argument(
        "checkpoint",
        help="a checkpoint of the config's model or of its backbone (torchvision's too): a file, or an "
        "address such as torchvision://resnet50",
    )
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument(
        "--target", type=_target_norm, default="unit", help="unit, or a number > 0 (default: %(default)s)"
    )
    parser.add_argument(
        "--granularity",
        choices=GRANULARITIES,
        default="filter",
        help="whose norm becomes the target: each filter's or the whole weight's (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite OUT if it exists")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    done = rescale_checkpoint(**vars(args))
    console = Console(soft_wrap=True, highlight=False, markup=False)
    norm = 1 if args.target == "unit" else args.target
    unit = _UNITS[args.granularity]
    console.print(
        f"Rescaled {len(done.rescaled)} of {done.num_weights} convolution and linear weights: "
        f"{done.filters} {unit} to norm {norm:g}; batch normalization folded."
    )
    for reason, count in done.filters_skipped.items():
        if count:
            console.print(f"Left alone: {count} of these filters: {_SKIPPED[reason]}.")
    by_reason: dict[str, list[str]] = {}
    for name, reason in done.weights_skipped.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        console.print(f"Left alone: {shorten(names)}: {reason}.")
    if done.other_tensors:
        console.print(f"Left alone: {shorten(done.other_tensors)}: not part of the config's model.")
    if done.dropped:
        console.print(
            f"Dropped: {', '.join(done.dropped)}: of a training with the old norms. Start from the new file "
            "with load_from; it cannot be resumed."
        )
    console.print(f"Wrote {args.out}.")
    return 0


_SKIPPED = {
    "dead": "their norm is 0, or next to it",
    "nonfinite": "their norm is not finite",
    "unfoldable": "the variance of their batch normalization is too small to be folded",
}
