"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator

import local_slurm
import pytest


@pytest.fixture(scope="session")
def slurm_conf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running Slurm of two nodes; what ``SLURM_CONF`` has to be to lead to it."""
    with local_slurm.running(tmp_path_factory.mktemp("slurm")) as configuration:
        yield configuration
