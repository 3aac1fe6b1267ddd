"""A benchmark of which something is left to do says so."""

from __future__ import annotations

from pathlib import Path

from benches import Bench

from wrs_mm.bench import commands
from wrs_mm.bench.executors import Ended
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.runs.work_dir import WorkDir


class TakenBack:
    """A place, and its jobs, from which every run is taken back."""

    detached = False
    processes = 1
    slots = 1

    def prepare(self) -> None:
        pass

    def submit(self, run: Run) -> TakenBack:
        return self

    def wait(self, seconds: float) -> None:
        pass

    def ended(self) -> Ended:
        return Ended("somebody more important came", interrupted=True)

    def stop(self) -> None:
        pass

    def kill(self) -> None:
        pass


def test_a_run_that_was_taken_back_is_named_as_interrupted(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    here = Bench(tmp_path)
    here.recipe("short")
    here.plan("short", regularizers="[wd]")
    assert commands.run(Path("plan.yaml"), Path("work"), TakenBack) == 1
    err = capsys.readouterr().err
    assert "short__wd__seed0 interrupted: somebody more important came (see " in err
    work_dir = WorkDir(Path("work"))
    assert [work_dir.run(spec).status() for spec in work_dir.specs()] == [Status.INTERRUPTED]
    assert set(here.results()["status"]) == {"interrupted"}
