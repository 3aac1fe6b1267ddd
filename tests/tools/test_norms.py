"""tools/why/norms.py: what it takes down of a training, the figure, and what it says of a missing file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from made_up_dynamics import made_up_dynamics
from scripts import load_script

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "why" / "norms.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_script(SCRIPT, monkeypatch)


def test_norms_and_what_they_make_of_the_learning_rate_are_means_over_weights(script: ModuleType) -> None:
    found = made_up_dynamics(iterations=(10, 20), lr=0.1, norm=[3.0, 4.0], effective_lr=[0.1 / 9, 0.1 / 16])
    rows = script.table(found)
    assert list(rows.iteration) == [10, 20]
    assert rows.iloc[1, 1:].to_dict() == pytest.approx(
        {"lr": 0.1, "norm": (25 / 2) ** 0.5, "effective_lr": 0.1 * (1 / 9 + 1 / 16) / 2}
    )


def test_a_table_becomes_the_same_picture_each_time(script: ModuleType, tmp_path: Path) -> None:
    rows = [(arm, i, 0.1, 1.0, 0.1) for arm in script.ARMS for i in (10, 20)]
    columns = ["arm", "iteration", "lr", "norm", "effective_lr"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "norms.csv", index=False)
    for name in ("one.svg", "two.svg"):
        script.draw(tmp_path / "norms.csv", tmp_path / name)
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text()
    assert all(f"<!-- {arm} -->" in text for arm in script.ARMS)


@pytest.mark.parametrize("command", [["record", "missing.py", "out.csv"], ["draw", "missing.csv", "out.svg"]])
def test_a_missing_file_is_one_line(command: list[str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT, *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("norms: error: ")
    assert "missing." in done.stderr and "Traceback" not in done.stderr
