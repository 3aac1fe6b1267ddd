"""tools/families: what it makes again, and that the families which ran still do, some of them each day."""

from __future__ import annotations

import datetime
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from commands import run
from scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
FOUND = json.loads((ROOT / "docs" / "families.json").read_text())


@pytest.fixture
def families(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module."""
    return load_script(ROOT / "tools" / "families" / "__main__.py", monkeypatch)


def test_every_folder_of_the_toolboxes_is_in_the_table(families: ModuleType) -> None:
    for toolbox in ("mmdet", "mmseg"):
        package = importlib.util.find_spec(toolbox)
        assert package is not None and package.origin is not None
        folders = {
            path.name
            for path in (Path(package.origin).parent / ".mim" / "configs").iterdir()
            if path.is_dir()
        }
        listed = {
            name.partition("::")[2].partition("/")[0] for name in families.CONFIGS if name.startswith(toolbox)
        }
        assert folders - listed == ({"_base_", "common"} if toolbox == "mmdet" else {"_base_"})


def test_days_take_turns_until_all_configurations_have_come_by(families: ModuleType) -> None:
    day = datetime.date(2026, 11, 28)
    seen: list[str] = []
    while len(seen) < len(families.CONFIGS):
        seen += families.sample_of(day, 2)
        day += datetime.timedelta(days=1)
    assert set(seen) == set(families.CONFIGS)


def test_what_was_found_is_not_looked_for_again(families: ModuleType) -> None:
    first, second = families.CONFIGS[:2]
    everything = {key: {"verdicts": {}, "training": {}} for key in families.CONFIGS}
    assert families.missing(everything, ["verdicts", "training"]) == []
    some = {**everything, first: {"verdicts": {}}, second: {"training": {"error": "…"}}}
    assert families.missing(some, ["verdicts", "training"]) == [(first, "training"), (second, "verdicts")]
    assert families.failed(some, ["verdicts", "training"]) == [(second, "training")]
    assert families.failed(some, ["verdicts"]) == []


def test_every_configuration_has_been_tried_and_nothing_else_is_in_the_table(families: ModuleType) -> None:
    assert FOUND.keys() == set(families.CONFIGS)
    assert all(FOUND[name].keys() == {"verdicts", "training"} for name in families.CONFIGS)
    assert "not tried" not in (ROOT / "docs" / "families.md").read_text(encoding="utf-8")


def test_the_readme_has_the_numbers_that_were_found() -> None:
    ran = {
        part: sum("error" not in result.get(part, {"error": ""}) for result in FOUND.values())
        for part in ("verdicts", "training")
    }
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"does this for {ran['verdicts']} of {len(FOUND)} configs" in text
    assert f"{ran['training']} of the {len(FOUND)} were trained and evaluated" in text


def test_a_model_that_fails_without_objects_says_so_in_its_row(families: ModuleType) -> None:
    found = {"invariant": 2, "rescaled": 2, "dtype": "float64", "loss_change": 1e-15, "affects_loss": 3}
    found |= {"disagreements": [], "differing": [], "failing": ["no object"]}
    result: dict[str, Any] = {"verdicts": {"weights": 3, "fold": 2, "recipe": found}}
    assert "| same; fails with no object |" in families.row("mmdet::x/y.py", result)
    assert not families.is_wrong(result)


@pytest.mark.parametrize(
    ("contradicted", "differing", "row"),
    [([], [], "| yes | same |"), (["a.weight"], [], "**no**: a.weight"), ([], ["no object"], "**differs**")],
)
def test_a_contradiction_is_in_the_row_and_in_the_status(
    families: ModuleType, contradicted: list[str], differing: list[str], row: str
) -> None:
    found = {"invariant": 2, "rescaled": 2, "dtype": "float64", "loss_change": 1e-15, "affects_loss": 3}
    found |= {"disagreements": contradicted, "differing": differing}
    result: dict[str, Any] = {
        "verdicts": {"weights": 3, "fold": 2, "recipe": found},
        "training": {"rescaled": 2},
    }
    assert row in families.row("mmdet::a/b.py", result)
    assert families.is_wrong(result) is bool(contradicted or differing)


def test_a_name_that_is_not_in_the_list_is_refused() -> None:
    done = run([sys.executable, "tools/families", "mmdet::nothing.py"], cwd=ROOT)
    assert done.returncode == 2 and "not in tools/families/configs.py" in done.stderr


@pytest.mark.slow
def test_todays_families_still_run(tmp_path: Path) -> None:
    """What ran when the table was made runs; an optional package may be missing here."""
    shutil.copy(ROOT / "docs" / "families.json", tmp_path)
    output = tmp_path / "families.json"
    done = run([sys.executable, "tools/families", "--sample", "2", "--output", str(output)], cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, parts in json.loads(output.read_text()).items():
        for part, found in parts.items():
            if "error" in found and "not installed" not in found["error"]:
                before = FOUND.get(name, {}).get(part, {"error": "it was not tried"})
                assert "error" in before, (name, part, found["error"])
