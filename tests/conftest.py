"""What tests of several folders share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import local_slurm
import pytest

with contextlib.suppress(ImportError):
    # Its import closes every log file of the process: before a test opens one.
    import submitit  # noqa: F401


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: what is left for the end is short, and all processes end together."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def slurm_conf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running Slurm of two nodes; what ``SLURM_CONF`` has to be to lead to it."""
    with local_slurm.running(tmp_path_factory.mktemp("slurm")) as configuration:
        yield configuration
