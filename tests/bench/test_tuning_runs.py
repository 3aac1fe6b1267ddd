"""Tuning for real: trials, then finals at their best settings, whatever happens in between."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benches import TEST, Bench
from commands import Command, wait_until
from kills import without_times

from wrs_mm.bench.plan.expansion import expand
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.selection import choices

pytestmark = pytest.mark.slow

TUNING = """
tuning:
  trials: TRIALS
  search: {lr: [0.001, 1.0], wd: {weight_decay: [1.0e-5, 1.0e-1]}}
  seeds: [100]
"""


def _plan(bench: Bench, trials: int, **replaced: str) -> list[RunSpec]:
    """Write the plan; returns its trials."""
    bench.plan("steady", **replaced)
    path = bench.folder / "plan.yaml"
    path.write_text(path.read_text() + TUNING.replace("TRIALS", str(trials)))
    return expand(load_plan(path))


def _stamps(work: Path, kind: str = "result.json") -> dict[str, int]:
    return {path.parent.name: path.stat().st_mtime_ns for path in work.glob(f"runs/*/{kind}")}


def _finals(work: Path) -> list[RunSpec]:
    return [spec for spec in WorkDir(work).specs() if spec.trial is None]


def _end(process: Command) -> str:
    out, err = process.communicate()
    assert process.returncode == 0, out + err
    return out


def test_killed_in_both_stages_and_with_two_harnesses_the_study_is_that_of_an_undisturbed_one(tmp_path):
    bench = Bench(tmp_path)
    bench.recipe("steady", hook="seconds=0.05, hold_at=18", more=TEST)
    trials = _plan(bench, 3, seeds="[0, 1]")
    assert len(trials) == 2 * 3
    bench.let_go()
    out = bench.run(work_dir="undisturbed")
    undisturbed, work = tmp_path / "undisturbed", tmp_path / "work"
    found = choices(
        (spec, bench.result(spec.id, undisturbed))
        for spec in WorkDir(undisturbed).specs()
        if spec.trial is not None
    )
    assert len(found) == 2
    finals = _finals(undisturbed)
    assert [(spec.regularizer, spec.seed) for spec in finals] == [
        (arm, seed) for seed in (0, 1) for arm in ("none", "wd")
    ]
    for spec in finals:
        choice = found[spec.scenario, spec.arm_label]
        assert spec.settings == choice.settings
        assert f"{spec.arm_label} on steady: lr={spec.settings['lr']:g}" in out
        best = max(score for score in choice.scores.values() if score is not None)
        assert choice.scores[choice.trial or 0] == best
        assert bench.result(spec.id, undisturbed).status.value == "done"
        assert bench.result(spec.id, undisturbed).test

    # Two harnesses share the trials; one of them is killed while it has one under way.
    bench.hold()
    first, second = bench.start("--jobs", "1"), bench.start("--jobs", "1")
    for spec in trials[:2]:
        wait_until((bench.run_folder(spec.id) / "iter_15.pth").exists, first, f"{spec.id} is held")
    first.kill()
    first.communicate()
    bench.let_go()

    # The other takes over what it had, and is killed in the second stage.
    def in_finals() -> bool:
        return any((bench.run_folder(spec.id) / "progress.json").exists() for spec in finals)

    wait_until(in_finals, second, "a final run has begun")
    second.kill()
    second.communicate()
    kept = {name: stamp for name, stamp in _stamps(work).items() if "trial" in name}
    assert len(kept) == 2 * 3

    # Two that go on find the same finals and share them; trials are not repeated.
    both = [bench.start("--jobs", "1") for _ in range(2)]
    for process in both:
        _end(process)
    bench.run()
    assert {name: stamp for name, stamp in _stamps(work).items() if "trial" in name} == kept
    assert (work / "plan.json").read_bytes() == (undisturbed / "plan.json").read_bytes()
    assert without_times(work / "results.csv") == without_times(undisturbed / "results.csv")


def test_a_longer_search_repeats_nothing_and_an_arm_whose_trial_fails_has_no_finals(tmp_path):
    bench = Bench(tmp_path)
    bench.recipe("steady", iterations=6, more=TEST)
    _plan(bench, 1)
    bench.run()
    work = tmp_path / "work"
    before = _stamps(work)
    assert len(before) == 2 + 2
    # The second trial of wd finds its folder broken.
    trials = _plan(bench, 2)
    broken = next(spec for spec in trials if (spec.trial, spec.regularizer) == (1, "wd"))
    bench.run_folder(broken.id).mkdir()
    (bench.run_folder(broken.id) / "predictions").write_text("in the way")
    out = bench.run(status=1)
    assert f"{broken.id} failed: " in out
    assert "wd on steady: no final runs, because 1 of its trials failed" in out
    assert {spec.regularizer for spec in _finals(work)} == {"none"}
    assert {name: _stamps(work)[name] for name in before} == before
    assert len(bench.attempts(trials[0].id)) == 1

    # Mended, the same command goes on; what the plan no longer asks for stays on disk.
    (bench.run_folder(broken.id) / "predictions").unlink()
    bench.run()
    assert {spec.regularizer for spec in _finals(work)} == {"none", "wd"}
    assert {name: _stamps(work)[name] for name in before} == before
    listed = {run["trial"] for run in json.loads((work / "plan.json").read_text())["runs"]}
    assert listed == {None, 0, 1}
