"""Train a detector or a segmentor: ``wrs-mm train`` under the name that launchers know."""

from __future__ import annotations

import sys

from wrs_mm.cli.main import run_and_exit

if __name__ == "__main__":
    run_and_exit(["train", *sys.argv[1:]])
