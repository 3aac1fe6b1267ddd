"""``python -m wrs_mm.cli``: the same program as ``wrs-mm``."""

from __future__ import annotations

from wrs_mm.cli.main import main
from wrs_mm.openmmlab.distributed import end_process

if __name__ == "__main__":
    end_process(main())
