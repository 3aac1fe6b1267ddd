"""What tests of several folders share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import local_slurm
import pytest

with contextlib.suppress(ImportError):
    # Its import closes every log file of the process: before a test opens one.
    import submitit  # noqa: F401


@pytest.fixture(scope="session")
def slurm_conf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running Slurm of two nodes; what ``SLURM_CONF`` has to be to lead to it."""
    with local_slurm.running(tmp_path_factory.mktemp("slurm")) as configuration:
        yield configuration
