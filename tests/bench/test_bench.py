"""Real benchmarks, small ones: a segmentor of mmseg on images of 32 × 32 pixels, in real processes.

Runs are killed, stopped, broken and taken up again through the command line (wrs_mm.bench.commands), as
a user would. Processes that start as a user's do are in test_kills.py, test_overhead.py and test_wheel.py.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
from benches import EPOCHS, VALIDATIONS, Bench, weights
from commands import PATIENCE
from forked import ForkedCommand

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_killed_run_resumes_and_nothing_done_is_repeated(bench):
    bench.recipe("steady", iterations=40)
    bench.recipe("held", iterations=40, hook="hold_at=18")
    bench.plan("steady", "held")
    process = bench.start("--jobs", "2")
    bench.wait_for_checkpoint(process, "held__wd__seed0", 15)
    victim = bench.attempts("held__wd__seed0")[0]
    os.kill(victim, signal.SIGKILL)
    bench.let_go()
    out, err = process.communicate()

    # The others went on; the killed one is a failed run that says so.
    assert process.returncode == 1, out + err
    assert "held__wd__seed0 failed: killed by SIGKILL; its log ends with: " in err
    lost = bench.result("held__wd__seed0")
    assert (lost.status.value, len(lost.log_tail) > 10) == ("failed", True)
    assert bench.result("held__none__seed0").status.value == "done"
    finished = {path: path.stat().st_mtime_ns for path in bench.folder.rglob("result.json")}

    bench.run()
    assert bench.result("held__wd__seed0").status.value == "done"
    assert "resumed" in (bench.run_folder("held__wd__seed0") / "train.log").read_text().lower()
    assert len(bench.attempts("held__wd__seed0")) == 2
    for name in ("steady__none__seed0", "steady__wd__seed0", "held__none__seed0"):
        assert len(bench.attempts(name)) == 1
        path = bench.run_folder(name) / "result.json"
        assert path.stat().st_mtime_ns == finished[path]

    # The recipes differ in the hold only: killed or not, the numbers are the same.
    killed, other = (weights(bench.run_folder(f"{r}__wd__seed0"), 40) for r in ("held", "steady"))
    assert all(torch.equal(killed[key], other[key]) for key in killed)

    frame = bench.results()
    assert set(frame["status"]) == {"done"}
    assert set(frame["metric"]) >= {"mIoU", "mAcc", "aAcc"}
    assert set(frame["task"]) == {"segmentation"}
    table = (bench.folder / "work" / "table.md").read_text()
    assert "| **held** |" in table and "\n| wd | " in table
    assert (bench.folder / "work" / "table.csv").exists()

    # Everything is done: a third call trains nothing, and gives the same files.
    runs = bench.folder / "work" / "runs"
    before = {path: path.stat().st_mtime_ns for path in runs.glob("*/*") if path.is_file()}
    results = (bench.folder / "work" / "results.csv").read_bytes()
    bench.run()
    assert {path: path.stat().st_mtime_ns for path in runs.glob("*/*") if path.is_file()} == before
    assert (bench.folder / "work" / "results.csv").read_bytes() == results


@pytest.mark.parametrize(("loop", "workers"), [("iterations", 0), ("epochs", 0), ("iterations", 2)])
def test_a_validation_that_a_kill_cut_short_is_made_up_for(bench, loop, workers):
    more = EPOCHS if loop == "epochs" else VALIDATIONS
    if workers:
        more += f"train_dataloader.update(num_workers={workers}, persistent_workers=True)\n"
    bench.recipe("killed", iterations=24, hook="break_at=12, how='kill'", more=more)
    bench.recipe("steady", iterations=24, more=more)
    bench.plan("killed", "steady", regularizers="[wd]")
    bench.run(status=1)
    bench.run()
    assert len(bench.attempts("killed__wd__seed0")) == 2
    one, other = bench.run_folder("killed__wd__seed0"), bench.run_folder("steady__wd__seed0")
    validations = (one / "validations.json").read_bytes()
    assert validations == (other / "validations.json").read_bytes()
    assert [entry["iteration"] for entry in json.loads(validations)] == [6, 12, 18, 24]
    killed, steady = bench.result(one.name), bench.result(other.name)
    assert (killed.metrics, killed.best) == (steady.metrics, steady.best)
    # The same checkpoints, two of them at least: the best one too is the same.
    assert sorted(path.name for path in one.glob("*.pth")) == sorted(
        path.name for path in other.glob("*.pth")
    )
    assert len([path for path in one.glob("*.pth") if not path.name.startswith("best_")]) == 2
    last = "epoch_12.pth" if loop == "epochs" else "iter_24.pth"
    states = [torch.load(folder / last, weights_only=False)["state_dict"] for folder in (one, other)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_ctrl_c_stops_every_process_and_the_same_command_continues(bench):
    # Held, so that the second command still finds it running.
    bench.recipe("held", iterations=30, hook="hold_at=12")
    bench.plan("held")
    process = bench.start("--jobs", "2")
    for arm in ("none", "wd"):
        bench.wait_for_checkpoint(process, f"held__{arm}__seed0", 10)
    second = bench.run()
    assert "no other run is free: another bench run has held__none__seed0, held__wd__seed0" in second
    workers = [bench.attempts(f"held__{arm}__seed0")[0] for arm in ("none", "wd")]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()

    assert process.returncode == 130, out + err
    assert err.strip().splitlines()[-1].startswith("interrupted; the same command continues")
    assert not any(psutil.pid_exists(worker) for worker in workers)
    for arm in ("none", "wd"):
        result = bench.result(f"held__{arm}__seed0")
        assert result.status.value == "interrupted"
        assert result.iteration <= 12

    bench.let_go()
    bench.run("--jobs", "2")
    for arm in ("none", "wd"):
        assert bench.result(f"held__{arm}__seed0").status.value == "done"
        assert bench.result(f"held__{arm}__seed0").iteration == 30
        log = (bench.run_folder(f"held__{arm}__seed0") / "train.log").read_text()
        assert "resumed epoch: 0, iter: 10" in log


def test_workers_end_with_a_harness_that_was_killed(bench):
    bench.anew = True
    bench.recipe("held", iterations=20, hook="hold_at=10")
    bench.plan("held", regularizers="[wd]")
    process = bench.start("--jobs", "1")
    bench.wait_for_checkpoint(process, "held__wd__seed0", 5)
    worker = psutil.Process(bench.attempts("held__wd__seed0")[0])
    process.kill()
    process.communicate()
    worker.wait(timeout=PATIENCE)
    assert bench.result("held__wd__seed0").status.value == "interrupted"


DEFORMABLE = """
model['backbone'].update(
    depth=50, dcn=dict(type='DCNv2', deform_groups=1, fallback_on_stride=False), stage_with_dcn=(True,))
model['decode_head'].update(in_channels=16)
"""


def test_a_run_whose_deformable_convolutions_sample_nowhere_has_diverged(bench):
    bench.recipe("nowhere", iterations=10, hook="break_at=4, how='nowhere'", more=DEFORMABLE)
    bench.plan("nowhere", regularizers="[wd]")
    bench.run()
    diverged = bench.result("nowhere__wd__seed0")
    assert (diverged.status.value, diverged.iteration) == ("diverged", 5)
    assert "the loss of iteration 5 is nan" in str(diverged.reason)


def test_a_diverged_run_is_a_result_and_a_crash_is_not(bench):
    bench.recipe("nan", iterations=20, hook="break_at=7, how='diverge'")
    bench.recipe("crash", iterations=20, hook="break_at=12, how='crash'")
    bench.recipe("overflow", iterations=20, hook="break_at=9, how='overflow'")
    bench.plan("nan", "crash", "overflow", regularizers="[wd]")
    err = bench.run(status=1)

    diverged = bench.result("nan__wd__seed0")
    assert (diverged.status.value, diverged.iteration) == ("diverged", 8)
    assert "the loss of iteration 8 is nan" in str(diverged.reason)
    assert diverged.metrics == {}

    # A model may fail on such weights before a loss shows them.
    overflown = bench.result("overflow__wd__seed0")
    assert (overflown.status.value, overflown.iteration) == ("diverged", 10)
    assert overflown.reason == "Diverged: the weights of iteration 10 are not finite"

    crashed = bench.result("crash__wd__seed0")
    assert crashed.status.value == "failed"
    assert crashed.reason == "RuntimeError: broken by the test"
    assert 10 < len(crashed.log_tail) <= 50
    assert crashed.log_tail[-1] == "by the test"
    assert "crash__wd__seed0 failed: RuntimeError: broken by the test" in err

    frame = bench.results().set_index("recipe")
    assert frame.loc["nan", "status"] == "diverged"
    assert frame.loc["crash", "status"] == "failed"

    # A diverged run is not tried again, a crashed one is.
    bench.run(status=1)
    assert len(bench.attempts("nan__wd__seed0")) == 1
    assert len(bench.attempts("crash__wd__seed0")) == 2


def test_a_plan_may_grow_and_equal_seeds_give_equal_numbers(bench):
    bench.recipe("steady")
    bench.plan("steady", regularizers="[wd]")
    bench.run()
    first = (bench.run_folder("steady__wd__seed0") / "result.json").read_bytes()
    bench.plan("steady", seeds="[0, 1]")
    bench.run()
    assert (bench.run_folder("steady__wd__seed0") / "result.json").read_bytes() == first
    frame = bench.results()
    assert set(zip(frame["regularizer"], frame["seed"], strict=True)) == {
        ("none", 0),
        ("none", 1),
        ("wd", 0),
        ("wd", 1),
    }

    bench.run(work_dir="again")
    columns = ["run", "metric", "value", "config_hash"]
    pd.testing.assert_frame_equal(frame[columns], bench.results("again")[columns])
    for name in ("steady__wd__seed0", "steady__none__seed1"):
        one = weights(bench.run_folder(name), 20)
        two = weights(bench.run_folder(name, "again"), 20)
        assert all(torch.equal(one[key], two[key]) for key in one)

    # Another plan, or another recipe under the same name, finds the work dir taken.
    kept = {path: path.read_bytes() for path in (bench.folder / "work").rglob("*.json")}
    bench.recipe("steady", iterations=25)
    assert "was trained with another config" in bench.run(status=2)
    bench.plan("steady", name="other")
    assert "belongs to the plan 'tiny', not 'other'" in bench.run(status=2)
    assert kept == {path: path.read_bytes() for path in (bench.folder / "work").rglob("*.json")}


def test_mistakes_are_found_before_anything_trains(bench):
    bench.recipe("steady")
    bench.plan("steady")
    (bench.folder / "data").rename(bench.folder / "moved")
    assert "dataset not found" in bench.run(status=2)
    assert not list(bench.folder.rglob("result.json"))
    (bench.folder / "moved").rename(bench.folder / "data")
    (bench.folder / "steady.py").write_text("model = dict(\n")
    assert bench.run(status=2).count("\n") == 1


def test_status_shows_every_run_in_one_line(bench):
    bench.recipe("steady", iterations=10)
    bench.plan("steady")
    bench.run()
    printed, _ = ForkedCommand(["bench", "status", "work"], cwd=bench.folder).communicate()
    rows = [line.split("\t") for line in printed.splitlines()]
    assert [row[:3] for row in rows] == [
        ["steady__none__seed0", "done", "100%"],
        ["steady__wd__seed0", "done", "100%"],
    ]
    assert json.loads((bench.folder / "work" / "plan.json").read_text())["name"] == "tiny"
