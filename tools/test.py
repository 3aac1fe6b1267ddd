"""Evaluate a checkpoint: ``wrs-mm test`` under the name that launchers know."""

from __future__ import annotations

import sys

from wrs_mm.cli.main import main
from wrs_mm.openmmlab.distributed import end_process

if __name__ == "__main__":
    end_process(main(["test", *sys.argv[1:]]))
