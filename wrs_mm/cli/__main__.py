"""``python -m wrs_mm.cli``: the same program as ``wrs-mm``."""

from __future__ import annotations

import sys

from wrs_mm.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
