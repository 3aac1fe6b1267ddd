"""``wrs-mm data``: make the small datasets, check the large ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from wrs_mm.cli.argument_types import at_least_one


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``wrs-mm data``."""
    datasets = parser.add_subparsers(dest="dataset", required=True)
    made = {
        "mini": "render the small sets, no network",
        "real": "fetch tree crowns and nuclei through pip",
        "standin": "render stand-ins for COCO 2017 and Cityscapes in their exact layout",
    }
    for name, what in made.items():
        make = datasets.add_parser(name, help=what, description=what)
        make.add_argument(
            "--root", type=Path, default=Path("data"), help="folder to write to (default: %(default)s)"
        )
    what = "is COCO 2017 or Cityscapes complete, and laid out as the recipes expect?"
    check = datasets.add_parser("check", help=what, description=what)
    check.add_argument("name", metavar="{coco,cityscapes}", choices=["coco", "cityscapes"], help="which one")
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


def run_data(args: argparse.Namespace) -> int:
    """Run the command."""
    from wrs_mm import datasets

    if args.dataset == "check":
        from wrs_mm.datasets.check import run_check

        return run_check(args.name, args.folder, any_size=args.any_size, count=args.sample, seed=args.seed)
    make = {"mini": datasets.render_mini, "real": datasets.fetch_real, "standin": datasets.render_standins}
    for folder in make[args.dataset](args.root):
        print(folder)
    return 0
