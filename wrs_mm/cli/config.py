"""``wrs-mm config``: a config, or an arm of a recipe, as one file or as an overlay of the recipe."""

from __future__ import annotations

import argparse

from wrs_mm.cli.train import add_arm_argument, add_cfg_options_argument, add_config_argument, arm_options
from wrs_mm.errors import OptionError
from wrs_mm.openmmlab.carried import inheritable
from wrs_mm.openmmlab.config_options import check_option_names
from wrs_mm.openmmlab.configs import load_config, merge_options
from wrs_mm.regularizers import apply_regularizer
from wrs_mm.regularizers.overlay import overlay


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``wrs-mm config``."""
    add_config_argument(parser)
    add_arm_argument(parser)
    add_cfg_options_argument(parser)
    parser.add_argument(
        "--overlay",
        action="store_true",
        help="print only what the arm changes, for a file RECIPE_ARM.py beside the recipe",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        ConfigError: The config cannot be read, or an option does not fit into it.
        OptionError: The arm does not go with the recipe; an overlay of no arm.
    """
    options = arm_options(args)
    config = load_config(args.config)
    if args.overlay:
        if args.arm is None or args.cfg_options:
            raise OptionError("--overlay prints what an arm changes: give --arm, and no --cfg-options")
        print(overlay(config, args.arm, inheritable(args.config), options), end="")
        return 0
    if args.arm:
        config = apply_regularizer(config, args.arm, **options)
    if args.cfg_options:
        check_option_names(config, args.cfg_options)
        merge_options(config, args.cfg_options)
    print(config.pretty_text.rstrip())
    return 0
