"""``python -m wrs_mm.cli``: the same program as ``wrs-mm``."""

from __future__ import annotations

from wrs_mm.cli.main import run_and_exit

if __name__ == "__main__":
    run_and_exit()
