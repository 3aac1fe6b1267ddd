"""Benchmarks that are killed, at a size that CI can afford; kills.py does it at any size."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest
import torch
from benches import Bench
from commands import finish
from kills import KILLS, RUNS, compare, disturb, fill, prepare, small_disk, without_times


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_at_random_moments_the_results_are_those_of_an_undisturbed_benchmark(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    prepare(bench, iterations=40, seconds=0.15)
    bench.let_go()
    bench.run(work_dir="undisturbed")
    happened = disturb(bench, tmp_path, len(KILLS), 0, list(KILLS))
    assert set(KILLS) <= happened.keys()
    compare(tmp_path / "undisturbed", tmp_path / "work")


@pytest.mark.slow
def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    # Held between two checkpoints: the next one meets the full disk.
    bench.recipe("held", iterations=40, hook="hold_at=18")
    bench.plan("held", regularizers="[wd]")
    with small_disk(tmp_path / "disk") as mounted:
        if not mounted:
            pytest.skip("mounting a tmpfs needs rights that this user has not")
        work = tmp_path / "disk" / "work"
        folder = work / "runs" / "held__wd__seed0"
        process = bench.start("--jobs", "1", work_dir=work)
        bench.wait_for_checkpoint(process, "held__wd__seed0", 15, work)
        filler = fill(tmp_path / "disk")
        bench.let_go()
        done = finish(process)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "the disk that holds" in done.stderr or "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        (worker,) = bench.attempts("held__wd__seed0", work)
        if psutil.pid_exists(worker):
            psutil.Process(worker).wait(60)
        kept = max(int(path.stem.partition("_")[2]) for path in folder.glob("iter_*.pth"))
        filler.unlink()
        bench.run("--jobs", "1", work_dir=work)
        resumed = re.findall(r"resumed epoch: 0, iter: (\d+)", (folder / "train.log").read_text())
        assert kept >= 15
        assert resumed[-1] == str(kept)
        bench.run("--jobs", "1", work_dir="undisturbed")
        assert not list(folder.glob("*.tmp"))
        undisturbed = tmp_path / "undisturbed" / "results.csv"
        assert without_times(work / "results.csv") == without_times(undisturbed)


@pytest.mark.parametrize("missing", ["iter_4.pth", "validations.json"])
def test_what_is_compared_must_be_there(tmp_path: Path, missing: str) -> None:
    for place in ("undisturbed", "work"):
        for name in RUNS:
            folder = tmp_path / place / "runs" / name
            folder.mkdir(parents=True)
            (folder / "validations.json").write_text("[]")
            (folder / "last_checkpoint").write_text(f"{folder}/iter_4.pth")
            for iteration in (2, 4):
                torch.save(
                    {"state_dict": {"w": torch.full((2,), iteration)}}, folder / f"iter_{iteration}.pth"
                )
        (tmp_path / place / "results.csv").write_text("run,seconds\nr,1\n")
    compare(tmp_path / "undisturbed", tmp_path / "work")
    (tmp_path / "work" / "runs" / RUNS[0] / missing).unlink()
    with pytest.raises(AssertionError):
        compare(tmp_path / "undisturbed", tmp_path / "work")
