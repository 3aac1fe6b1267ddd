"""The script tools/study.sh, and quickstart.sh that calls it: with a plan's data, and in the right order."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which setting up is nothing, and wrs-mm writes down how it was called."""
    (tmp_path / "tools").mkdir()
    for name in ("study.sh", "quickstart.sh"):
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools" / name)
    (tmp_path / "tools" / "setup.sh").write_text("echo setup >> calls\n")
    shutil.copytree(ROOT / "configs" / "benchmarks", tmp_path / "configs" / "benchmarks")
    program = tmp_path / ".venv" / "bin" / "wrs-mm"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@" >> calls\n')
    program.chmod(0o755)
    return tmp_path


def call(checkout: Path, script: str, *arguments: str) -> tuple[int, str, list[str]]:
    """Status, what went to stderr, and what was called."""
    done = subprocess.run(
        ["bash", str(checkout / "tools" / script), *arguments], capture_output=True, text=True, cwd="/"
    )
    calls = checkout / "calls"
    return done.returncode, done.stderr, calls.read_text().splitlines() if calls.exists() else []


@pytest.mark.parametrize(
    ("plan", "data"),
    [
        ("mini_tuning", ["mini"]),
        ("mini_transfer", ["mini", "shapes"]),
        ("real_transfer", ["real", "shapes"]),
        ("shapes_tuning", ["shapes"]),
        ("why_matched", ["mini", "real"]),
        ("coco", []),
        ("imagenet_transfer", []),
    ],
)
def test_a_plan_is_run_once_its_data_are_made_and_then_reported(
    checkout: Path, plan: str, data: list[str]
) -> None:
    status, _, calls = call(checkout, "study.sh", plan, "--jobs", "2")
    assert status == 0
    assert calls == [
        "setup",
        *(f"data make {name}" for name in data),
        f"bench run configs/benchmarks/{plan}.yaml --work-dir work_dirs/{plan} --jobs 2",
        f"bench report work_dirs/{plan}",
    ]


def test_the_quickstart_is_the_study_mini(checkout: Path) -> None:
    status, _, calls = call(checkout, "quickstart.sh")
    assert status == 0 and "bench run configs/benchmarks/mini.yaml --work-dir work_dirs/mini" in calls


@pytest.mark.parametrize("arguments", [(), ("transfer",)])
def test_a_plan_that_is_not_there_is_one_line_with_all_names(
    checkout: Path, arguments: tuple[str, ...]
) -> None:
    status, said, calls = call(checkout, "study.sh", *arguments)
    assert status == 2 and calls == []
    assert said.count("\n") == 1 and "mini_transfer" in said and ".yaml" not in said
