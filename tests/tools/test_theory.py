"""tools/why/theory.py: the table that docs/theory.md shows is of the findings beside its pictures."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
FINDINGS = [ROOT / "docs" / "img" / "theory" / name / "findings.json" for name in ("mini", "nuclei")]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_script(ROOT / "tools" / "why" / "theory.py", monkeypatch)


def test_the_table_of_the_document_is_that_of_the_findings(script: ModuleType) -> None:
    found = [json.loads(path.read_text(encoding="utf-8")) for path in FINDINGS]
    assert script.table(found) in (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")


def test_a_share_is_that_of_the_layer_with_most_noise_and_growth_that_of_the_second_half(
    script: ModuleType,
) -> None:
    layers = [{"shares_start": [0.0, 0.0]}, {"shares_start": [0.5, 0.25]}]
    found = {
        "noise": [{"arm": "none", "layers": layers}],
        "growth": {"momentum": {"measured": [1.0, 2.0, 4.0, 8.0], "uncorrelated": [5.0, 5.0, 6.0, 8.0]}},
    }
    assert script.noisiest(found) == [("none", layers[1])]
    assert script.shares([0.5, 0.25]) == "37.5 % (25.0 to 50.0)" and script.shares([1e-31]) == "0 % (0 to 0)"
    # From the last update of the first half to the last of all: 6 over 3.
    assert script.second_half(found) == 2.0
    assert script.small(0.00069) == "6.9 · 10⁻⁴"
