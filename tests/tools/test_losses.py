"""tools/why/losses.py: the table of training losses, and what it says where there is no study."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from made_up_tuning import SEGMENTOR, make_tuned_work_dir

from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.benchmark import read_benchmark, without_trials
from wrs_mm.bench.statistics.logs import training_losses

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "why" / "losses.py"


def _run(work_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, work_dir], capture_output=True, text=True, check=False)


def test_each_number_is_the_mean_over_seeds_of_the_losses_in_an_eighth(tmp_path: Path) -> None:
    work_dir: WorkDir = make_tuned_work_dir(tmp_path / "work", trials=2, seeds=2, recipes=[SEGMENTOR])
    done = _run(work_dir.path)
    assert (done.returncode, done.stderr) == (0, "")
    header, _, *rows = done.stdout.splitlines()
    assert header.split(" | ")[2:] == [*(f"{part}/8" for part in range(1, 8)), "8/8 |"]
    assert [row.split(" | ")[1] for row in rows] == ["none", "wd", "wrs", "wrs_matched"]
    finals = [s for s in work_dir.listed().runs if s.trial is None and s.regularizer == "wrs"]
    last = [
        [loss for step, loss in training_losses(work_dir.run(spec)).items() if step > 525] for spec in finals
    ]
    expected = sum(sum(losses) / len(losses) for losses in last) / 2
    assert rows[2].split(" | ")[-1] == f"{expected:.2f} |"


def test_of_a_study_none_of_whose_finals_is_done_it_says_so(tmp_path: Path) -> None:
    work_dir = make_tuned_work_dir(tmp_path / "work", trials=2, seeds=1, recipes=[SEGMENTOR])
    for spec in without_trials(read_benchmark(work_dir).runs):
        (spec.folder / "result.json").unlink()
    done = _run(work_dir.path)
    assert done.returncode == 2
    assert done.stderr.startswith("losses: error: no final run in ") and done.stderr.count("\n") == 1


def test_where_there_is_no_study_it_says_so_in_a_line(tmp_path: Path) -> None:
    done = _run(tmp_path / "nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("losses: error: ") and done.stderr.count("\n") == 1
