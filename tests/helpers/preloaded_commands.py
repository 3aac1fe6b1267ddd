"""What ``wrs-mm bench`` and its runs import, imported once for all that are forked from this process."""

import wrs_mm.bench.commands
import wrs_mm.bench.executors.preloaded
import wrs_mm.bench.report.files
import wrs_mm.cli.bench
import wrs_mm.cli.main  # noqa: F401
