"""``wrs-mm data``: make the small datasets, check the large ones and split their train images."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wrs_mm import datasets
from wrs_mm.cli.argument_types import at_least_one
from wrs_mm.datasets import tune_split
from wrs_mm.datasets.check import CHECKS, run_check
from wrs_mm.errors import DatasetError

MAKERS = {
    "mini": datasets.render_mini,
    "fresh": datasets.render_fresh,
    "shapes": datasets.render_shapes,
    "real": datasets.fetch_real,
    "standin": datasets.render_standins,
}
"""What makes each of the small datasets: given a folder, it returns those that it made there."""

_ANY_SIZE: dict[str, Any] = {"action": "store_true", "help": "accept a smaller set in the same layout"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``wrs-mm data``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    what = "make the small datasets, or bring them up to date; complete ones are left as they are"
    make = actions.add_parser("make", help=what, description=what)
    make.add_argument(
        "dataset",
        choices=MAKERS,
        help="mini: both tasks, rendered, no network; fresh: other test splits of these; "
        "shapes: mini-shapes, to pretrain on, rendered; "
        "real: tree crowns and nuclei, fetched through pip; "
        "standin: rendered, in the exact layout of COCO 2017, Cityscapes and ImageNet",
    )
    make.add_argument(
        "--root", type=Path, default=Path("data"), help="folder to write to (default: %(default)s)"
    )

    what = "is COCO 2017, Cityscapes or ImageNet complete, and laid out as the recipes expect?"
    check = actions.add_parser("check", help=what, description=what)
    check.add_argument(
        "name",
        metavar="{coco,cityscapes,imagenet}",
        choices=CHECKS,
        help="which one; imagenet, with --any-size: any images in a folder for each class",
    )
    check.add_argument("folder", metavar="ROOT", type=Path, help="what the recipes call data_root")
    check.add_argument("--any-size", **_ANY_SIZE)
    check.add_argument(
        "--sample",
        type=at_least_one,
        default=100,
        metavar="N",
        help="images of each split to decode (default: %(default)s)",
    )
    check.add_argument("--seed", type=int, default=0, help="which images (default: %(default)s)")

    what = "part the train images of COCO 2017 or Cityscapes: some to tune on, the rest to train on"
    split = actions.add_parser(
        "split", help=what, description=f"{what}; prints what a plan needs to use them"
    )
    split.add_argument("name", metavar="{coco,cityscapes}", choices=tune_split.DATASETS, help="which one")
    split.add_argument("folder", metavar="ROOT", type=Path, help="what the recipes call data_root")
    split.add_argument("--any-size", **_ANY_SIZE)


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        DatasetError: A dataset cannot be made, or something is wrong with one that is checked or split.
    """
    if args.action == "check":
        return run_check(args.name, args.folder, any_size=args.any_size, count=args.sample, seed=args.seed)
    if args.action == "split":
        with _writing_to(args.folder, str(args.folder)):
            _split(args.name, args.folder, args.any_size)
        return 0
    with _writing_to(args.root, f"--root {args.root}"):
        made = MAKERS[args.dataset](args.root)
    for folder in made:
        print(folder)
    return 0


def _split(dataset: str, root: Path, any_size: bool) -> None:
    """Split a dataset and print, as a part of a plan, what makes recipes use it."""
    for line in tune_split.split(dataset, root, any_size):
        print(f"# {line}")
    print("cfg_options:")
    for key, value in tune_split.options(dataset, root).items():
        print(f"  {key}: {value}")


@contextmanager
def _writing_to(folder: Path, argument: str) -> Iterator[None]:
    """Say of a folder that cannot be written to which argument named it."""
    try:
        yield
    except OSError as error:
        if os.access(folder, os.W_OK):
            raise
        raise DatasetError(f"{argument}: cannot be written ({error.strerror})") from error
