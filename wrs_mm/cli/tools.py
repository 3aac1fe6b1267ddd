"""``wrs-mm tools``: where the scripts for several GPUs, several machines and Slurm are."""

from __future__ import annotations

import argparse

from wrs_mm.openmmlab.carried import carried


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(args: argparse.Namespace) -> int:
    """Print the folder, for ``"$(wrs-mm tools)/dist_train.sh" CONFIG GPUS``."""
    print(carried("tools"))
    return 0
