"""tools/perf/harness_cost.py: what a benchmark's time is made of, and a real one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benches import Bench

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def harness_cost(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(ROOT / "tools" / "perf")
    import harness_cost

    yield harness_cost
    for name in ("harness_cost", "marked"):
        sys.modules.pop(name, None)


def test_the_parts_of_a_benchmark_add_up(harness_cost: Any) -> None:
    runs = [(10.0, 12.0, 0.5), (12.25, 15.25, 1.0), (16.0, 20.0, 1.5)]
    found = harness_cost.cost(runs, began=1.0, ended=20.5)
    assert found == {
        "total": 19.5,
        "runs": 9.0,
        "starting": 1.0,
        "before": 9.0,
        "between": 0.5,
        "after": 0.5,
    }
    assert found["before"] + found["runs"] + 2 * found["between"] + found["after"] == found["total"]
    text = harness_cost.table(harness_cost.Cost(alone=5.0, alone_starting=2.0, **found), 3, 7)
    assert "7 updates a run" in text
    assert "| **all but the imports, of the runs' own times** | 1.167 × |" in text
    assert text.endswith("| all, of 3 runs in processes of their own | 1.30 × |")


@pytest.mark.slow
def test_a_benchmark_is_measured(harness_cost: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "helpers"))
    Bench(tmp_path).recipe("short")
    found = harness_cost.measure(tmp_path, 2, 4, "short.py")
    assert found.before > 0 and found.between > 0 and found.after > 0
    assert found.total == pytest.approx(found.before + found.runs + found.between + found.after)
    assert found.starting < found.alone_starting < found.alone
