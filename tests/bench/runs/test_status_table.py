"""The table of ``bench status``."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from run_folders import make_runs

from wrs_mm.bench.plan.spec import RunSpec, Start
from wrs_mm.bench.runs import status_table as table
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Identity, Progress, Result, Status
from wrs_mm.bench.runs.work_dir import WorkDir


def test_status_of_many_runs_keeps_to_the_screen_what_needs_a_look(tmp_path):
    runs = make_runs(tmp_path, 8)
    for run in runs:
        run.write_result(Result(status=Status.DONE))
    runs[6].clear_result()
    runs[6].write_result(Result(status=Status.FAILED, reason="[red]no[/red]"))
    console = Console(file=io.StringIO(), width=120)
    # Head, two runs, how many more, and the whole.
    console.print(table.status_table(runs, 120, room=5))
    text = console.file.getvalue()
    assert "run6 failed" in " ".join(text.split())
    assert "[red]no[/red]" in text
    assert "… and 6 more" in text
    assert "8 runs finished, 1 failed" in text
    assert len(text.splitlines()) == 5
    assert len(table.status_table(runs, 120).renderables) == 1 + 8 + 1


def test_a_table_that_is_cut_to_the_screen_reads_each_folder_once(tmp_path, monkeypatch):
    runs = make_runs(tmp_path, 30)
    read: list[str] = []
    identity = Run.identity
    monkeypatch.setattr(Run, "identity", lambda run: (read.append(run.name), identity(run))[1])
    assert len(table.status_table(runs, 120, room=10).renderables) == 10
    assert sorted(read) == sorted(run.name for run in runs)


@pytest.mark.parametrize("width", [80, 120])
def test_status_breaks_no_name_and_tells_all_of_a_reason(tmp_path, width):
    recipes = ["mini/faster-rcnn_r18-narrow_fpn_mini-coco", "mini/pspnet_r18-narrow_mini-cityscapes"]
    runs = []
    for recipe in recipes:
        for seed in range(2):
            options = {"weight_decay": 0.0005}
            spec = RunSpec(
                recipe=recipe, regularizer="wd", options=options, optimizer="recipe", seed=seed, baseline=True
            )
            run = Run(tmp_path / spec.id)
            run.prepare(Identity(spec=spec, task="t", dataset="d", config_hash="h"), "")
            run.write_result(Result(status=Status.FAILED, reason="RuntimeError: no space left on device"))
            runs.append(run)
    console = Console(file=io.StringIO(), width=width)
    console.print(table.status_table(runs, width))
    lines = console.file.getvalue().splitlines()
    for recipe in recipes:
        assert recipe in lines
    for seed in range(2):
        assert sum(line.startswith(f"  wd-weight_decay=0.0005__seed{seed}  failed  ") for line in lines) == 2
    assert sum("RuntimeError: no space left on device" in line for line in lines) == 4


@pytest.mark.parametrize("recipe", ["my__recipe", "long__" + "r" * 200, "ü b"])
def test_status_knows_the_recipe_whatever_its_name(tmp_path, recipe):
    spec = RunSpec(recipe=recipe, regularizer="wd", options={}, optimizer="recipe", seed=3, baseline=True)
    run = Run(tmp_path / spec.id)
    run.prepare(Identity(spec=spec, task="t", dataset="d", config_hash="h"), "")
    lines = [str(line).split() for line in table.status_table([run], 300).renderables]
    assert lines[1:-1] == [recipe.split(), ["wd__seed3", "pending", "0%", "0:00"]]


def test_status_shows_the_metric_and_the_time_left(runs):
    with runs[0].lock():
        progress = Progress(phase="training", iteration=3, iterations=9, metric="mIoU", value=41.236)
        runs[0].write_progress(progress.model_copy(update={"seconds": 30, "seconds_left": 61}))
        rows = table.status_rows(runs)
    assert rows[0] == ("run0", "running", "33%", "mIoU 41.24", "0:30", "1:01", "training 3/9")
    assert rows[1][:3] == ("run1", "pending", "0%")


def test_a_live_table_follows_the_runs_to_their_end(runs, monkeypatch):
    looks = iter(["running", "done"])

    def wait(seconds: float) -> None:
        if next(looks) == "done":
            for run in runs:
                run.write_result(Result(status=Status.DONE, seconds=61))

    monkeypatch.setattr(table.time, "sleep", wait)
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, height=30)
    table.watch_status(lambda: runs, console, watch=True)
    assert "2 of 2 runs finished" in stream.getvalue()


def test_without_a_terminal_lines_come_again_only_when_they_change(runs, monkeypatch, capsys):
    looks = iter(range(5))

    def wait(seconds: float) -> None:
        if next(looks) == 3:
            for run in runs:
                run.write_result(Result(status=Status.DONE, seconds=61))

    monkeypatch.setattr(table.time, "sleep", wait)
    console = Console(file=io.StringIO(), force_terminal=False)
    table.watch_status(lambda: runs, console, watch=True)
    states = [line.split("\t")[:2] for line in capsys.readouterr().out.splitlines()]
    assert states == [["run0", "pending"], ["run1", "pending"], ["run0", "done"], ["run1", "done"]]


def test_trials_stand_apart_from_final_runs_and_those_to_come_are_counted(tmp_path):
    runs = []
    for trial in (0, 1, None):
        settings = {"lr": 0.1 * (trial or 0) + 0.1}
        spec = RunSpec(
            recipe="r",
            regularizer="wd",
            options={},
            settings=settings,
            optimizer="recipe",
            seed=0,
            trial=trial,
            baseline=True,
        )
        run = Run(tmp_path / spec.id)
        run.prepare(Identity(spec=spec, task="t", dataset="d", config_hash="h"), "")
        run.write_result(Result(status=Status.DONE))
        runs.append(run)
    lines = [str(line) for line in table.status_table(runs, 300, to_come=2).renderables]
    assert [line.split()[0] for line in lines if line.startswith("  ")][1:] == [
        "wd__at-lr=0.1__trial0__seed0",
        "wd__at-lr=0.2__trial1__seed0",
        "wd__at-lr=0.1__seed0",
    ]
    assert [line for line in lines if not line.startswith("  ")] == [
        "r, trials",
        "r",
        "3 of 3 runs finished, 0:00 left; 2 final runs to come when their trials are through",
    ]
    assert "to come" not in str(table.status_table(runs, 300).renderables[-1])


def test_watching_goes_on_while_final_runs_are_to_come(runs, monkeypatch, capsys):
    for run in runs:
        run.write_result(Result(status=Status.DONE))
    to_come, looks = iter([2, 2, 0]), []
    monkeypatch.setattr(table.time, "sleep", looks.append)
    console = Console(file=io.StringIO(), force_terminal=False)
    table.watch_status(lambda: runs, console, True, lambda: next(to_come))
    assert len(looks) == 2


def test_runs_say_which_pretraining_they_wait_for_and_one_that_failed_ends_the_watching(tmp_path, capsys):
    about = {"regularizer": "wd", "options": {}, "optimizer": "recipe", "seed": 0, "baseline": True}
    before = RunSpec(recipe="before", pretraining="abc", **about)
    start = Start(label="wd", recipe="r", checkpoint="work_dirs/pretrained/abc/backbone.pt", pretraining=0)
    work_dir = WorkDir(tmp_path / "work", store=tmp_path / "store")
    work_dir.path.mkdir()
    work_dir.register("p", [before, RunSpec(recipe="r from wd", start=start, **about)])
    pretraining, run = (work_dir.run(spec) for spec in work_dir.specs())
    for one, spec in zip((pretraining, run), work_dir.specs(), strict=True):
        one.prepare(Identity(spec=spec, task="t", dataset="d", config_hash="h"), "")
    assert [row[-1] for row in table.status_rows([pretraining, run])] == [
        "",
        f"waits for its pretraining {before.id}",
    ]
    pretraining.write_result(Result(status=Status.FAILED, reason="no space left"))
    console = Console(file=io.StringIO(), force_terminal=False)
    table.watch_status(lambda: [pretraining, run], console, watch=True)  # it ends
    assert f"not begun: its pretraining {before.id} failed" in capsys.readouterr().out
    pretraining.clear_result()
    pretraining.write_result(Result(status=Status.DONE))
    assert table.status_rows([run])[0][-1] == ""
