"""``wrs-mm test``: evaluate a checkpoint."""

from __future__ import annotations

import argparse

from wrs_mm.cli.train import add_config_argument, add_runner_arguments, remedies
from wrs_mm.openmmlab.training import test


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of :func:`wrs_mm.openmmlab.training.test`, with OpenMMLab's names."""
    add_config_argument(parser)
    parser.add_argument("checkpoint", help="checkpoint file")
    add_runner_arguments(parser)
    parser.add_argument(
        "--out", help="a .pkl file for the predictions; of a segmentor, or a folder for label maps"
    )
    parser.add_argument("--show", action="store_true", help="show the predictions on the screen")
    parser.add_argument("--show-dir", help="folder for painted images")
    parser.add_argument("--wait-time", type=float, default=2, help="seconds an image is shown (default: 2)")
    parser.add_argument("--tta", action="store_true", help="augment at test time")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    with remedies():
        test(**vars(args))
    return 0
