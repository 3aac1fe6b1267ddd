"""Benchmarks that are killed, at a size that CI can afford; kills.py does it at any size."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from benches import Bench
from kills import KILLS, compare, disturb, fill, prepare, small_disk

pytestmark = pytest.mark.slow


@pytest.mark.timeout(900)
def test_killed_at_random_moments_the_results_are_those_of_an_undisturbed_benchmark(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    prepare(bench, iterations=40, seconds=0.15)
    bench.run(work_dir="undisturbed")
    happened = disturb(bench, tmp_path, len(KILLS), 0, list(KILLS))
    assert happened.total() >= 3
    compare(tmp_path / "undisturbed", tmp_path / "work")


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.recipe("slow", iterations=60, hook="seconds=0.1")
    bench.plan("slow", regularizers="[wd]")
    with small_disk(tmp_path / "disk") as mounted:
        if not mounted:
            pytest.skip("mounting a tmpfs needs rights that this user has not")
        work = tmp_path / "disk" / "work"
        process = bench.start("--jobs", "1", work_dir=work)
        bench.wait_for_iteration(process, "slow__wd__seed0", 15, work)
        filler = fill(tmp_path / "disk")
        out, err = process.communicate(timeout=120)
        assert process.returncode == 1, out + err
        assert "the disk that holds" in err or "No space left on device" in err
        assert "Traceback" not in err
        time.sleep(0.5)
        filler.unlink()
        bench.run("--jobs", "1", work_dir=work)
        log = (work / "runs" / "slow__wd__seed0" / "train.log").read_text()
        assert "resumed epoch: 0, iter: 1" in log.replace("iter: 5", "iter: 1")
        bench.run("--jobs", "1", work_dir="undisturbed")
        names = {path.name for path in (work / "runs" / "slow__wd__seed0").iterdir()}
        assert not {name for name in names if name.endswith(".tmp")}
        from kills import without_times

        undisturbed = tmp_path / "undisturbed" / "results.csv"
        assert without_times(work / "results.csv") == without_times(undisturbed)
