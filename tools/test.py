"""Evaluate a checkpoint: ``wrs-mm test`` under the name that launchers know."""

from __future__ import annotations

import sys

from wrs_mm.cli.main import run_and_exit

if __name__ == "__main__":
    run_and_exit(["test", *sys.argv[1:]])
