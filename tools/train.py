"""Train a detector or a segmentor: ``wrs-mm train`` under the name that launchers know."""

from __future__ import annotations

import sys

from wrs_mm.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
