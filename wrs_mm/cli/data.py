"""``wrs-mm data``: make the small datasets, check the large ones."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from wrs_mm import datasets
from wrs_mm.cli.argument_types import at_least_one
from wrs_mm.datasets.check import CHECKS, run_check
from wrs_mm.errors import DatasetError

MAKERS = {"mini": datasets.render_mini, "real": datasets.fetch_real, "standin": datasets.render_standins}
"""What makes each of the small datasets: given a folder, it returns those that it made there."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``wrs-mm data``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    what = "make the small datasets; complete ones are left as they are"
    make = actions.add_parser("make", help=what, description=what)
    make.add_argument(
        "dataset",
        choices=MAKERS,
        help="mini: both tasks, rendered, no network; real: tree crowns and nuclei, fetched through pip; "
        "standin: rendered, in the exact layout of COCO 2017 and Cityscapes",
    )
    make.add_argument(
        "--root", type=Path, default=Path("data"), help="folder to write to (default: %(default)s)"
    )

    what = "is COCO 2017 or Cityscapes complete, and laid out as the recipes expect?"
    check = actions.add_parser("check", help=what, description=what)
    check.add_argument("name", metavar="{coco,cityscapes}", choices=CHECKS, help="which one")
    check.add_argument("folder", metavar="ROOT", type=Path, help="what the recipes call data_root")
    check.add_argument("--any-size", action="store_true", help="accept a smaller set in the same layout")
    check.add_argument(
        "--sample",
        type=at_least_one,
        default=100,
        metavar="N",
        help="images of each split to decode (default: %(default)s)",
    )
    check.add_argument("--seed", type=int, default=0, help="which images (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        DatasetError: A dataset cannot be made, or something is wrong with the one that was checked.
    """
    if args.action == "check":
        return run_check(args.name, args.folder, any_size=args.any_size, count=args.sample, seed=args.seed)
    try:
        made = MAKERS[args.dataset](args.root)
    except OSError as error:
        if os.access(args.root, os.W_OK):
            raise
        raise DatasetError(f"--root {args.root}: cannot be written ({error.strerror})") from error
    for folder in made:
        print(folder)
    return 0
