"""tools/perf/cost_page.py: the profile that it takes, and where it writes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def cost_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(ROOT / "tools" / "perf")
    import cost_page

    threads = torch.get_num_threads()
    yield cost_page
    torch.set_num_threads(threads)
    for name in ("cost_page", "step_cost", "import_cost", "arm_costs", "marked"):
        sys.modules.pop(name, None)


def test_a_profile_has_a_norm_and_a_scaling_for_each_weight_and_leaves_no_time_out(cost_page: Any) -> None:
    head, _, *rows = cost_page.profile_table("rescale", 2)
    cells = [[cell.strip() for cell in row.strip("| ").split("|")] for row in rows]
    calls = {operation: int(count) for operation, count, _, _ in cells}
    assert calls["`aten::linalg_vector_norm`"] == calls["`aten::mul_`"] == 53
    assert sum(int(share.removesuffix(" %")) for *_, share in cells) == pytest.approx(100, abs=len(cells))
    assert head.count("|") == rows[0].count("|")


def test_the_tables_go_into_their_place_and_the_rest_stays(
    cost_page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost_page, "page", lambda repeats: f"{repeats} \\1")
    page = tmp_path / "cost.md"
    page.write_text("before\n<!-- cost -->\nold\n<!-- /cost -->\nafter\n")
    monkeypatch.setattr(sys, "argv", ["cost_page.py", "--repeats", "7", "--into", str(page)])
    cost_page.main()
    assert page.read_text() == "before\n<!-- cost -->\n7 \\1\n<!-- /cost -->\nafter\n"
    page.write_text("no place")
    with pytest.raises(SystemExit, match="has no place for it"):
        cost_page.main()
    assert page.read_text() == "no place"


def test_imports_are_said_of_toolboxes_and_of_ours_and_add_up(
    cost_page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = {"torch": 2.0, "mmdet": 0.5, "mmcv": 0.25, "wrs_mm": 0.125, "numpy": 1.0, "scipy": 0.5}
    monkeypatch.setattr(cost_page, "measure", lambda config, repeats: (shares.copy(), 4.375, 0.75))
    _, _, *rows = cost_page.import_table(1, most=2)
    assert rows == [
        "| torch | 2.00 |",
        "| numpy | 1.00 |",
        "| mmengine, mmcv, mmdet, mmseg themselves | 0.75 |",
        "| wrs_mm | 0.12 |",
        "| all others | 0.50 |",
        "| all imports | 4.38 |",
        "| building the model | 0.75 |",
    ]
