"""Tuning for real: trials, then finals at their best settings, whatever happens in between."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from benches import EPOCHS, TEST, VALIDATIONS, Bench
from commands import Spoken, wait_until
from kills import without_times

from wrs_mm.bench.plan.expansion import expand
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.selection import choices

pytestmark = pytest.mark.slow

HALVING = "halving: {rungs: [0.25, 0.5], keep: 0.5}"

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


def _end(process: Spoken) -> str:
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
    in_the_way = bench.run_folder(broken.id) / "validations.json"
    in_the_way.mkdir(parents=True)
    out = bench.run(status=1)
    assert f"{broken.id} failed: " in out
    assert "wd on steady: no final runs, because 1 of its trials failed" in out
    assert {spec.regularizer for spec in _finals(work)} == {"none"}
    assert {name: _stamps(work)[name] for name in before} == before
    assert len(bench.attempts(trials[0].id)) == 1

    # Mended, the same command goes on; what the plan no longer asks for stays on disk.
    in_the_way.rmdir()
    bench.run()
    assert {spec.regularizer for spec in _finals(work)} == {"none", "wd"}
    assert {name: _stamps(work)[name] for name in before} == before
    listed = {run["trial"] for run in json.loads((work / "plan.json").read_text())["runs"]}
    assert listed == {None, 0, 1}


@pytest.mark.parametrize("loop", ["iterations", "epochs"])
def test_what_survives_halving_is_bit_for_bit_the_run_without_it(tmp_path, loop):
    bench = Bench(tmp_path)
    more = TEST + (EPOCHS if loop == "epochs" else VALIDATIONS)
    bench.recipe("steady", iterations=24, hook="seconds=0.02", more=more)
    trials = _plan(bench, 4, regularizers="[wd]")
    bench.run(work_dir="whole")
    plan = tmp_path / "plan.yaml"
    plan.write_text(plan.read_text().replace("  seeds: [100]", f"  seeds: [100]\n  {HALVING}"))
    # Killed somewhere on the way; then two that share the work.
    first = bench.start("--jobs", "1")
    wait_until(
        lambda: any((bench.run_folder(spec.id) / "result.json").exists() for spec in trials),
        first,
        "one of the trials has come somewhere",
    )
    first.kill()
    first.communicate()
    for process in [bench.start("--jobs", "1") for _ in range(2)]:
        _end(process)
    results = {spec.id: bench.result(spec.id) for spec in trials}
    ended = [result.status.value for result in results.values()]
    # Four to a quarter (the first validation after 6 of 24), two to the half, one to the end.
    assert sorted(ended) == ["done", "stopped", "stopped", "stopped"]
    assert sorted(result.iteration for result in results.values()) == [6, 6, 12, 24]
    for name, result in results.items():
        whole, halved = bench.run_folder(name, "whole"), bench.run_folder(name)
        full = json.loads((whole / "validations.json").read_text())
        part = json.loads((halved / "validations.json").read_text())
        assert part == [entry for entry in full if entry["iteration"] <= result.iteration]
        if result.status.value == "done":
            other = bench.result(name, "whole")
            assert (result.metrics, result.test, result.best) == (other.metrics, other.test, other.best)
            assert result.config_hash == other.config_hash
            last = "epoch_12.pth" if loop == "epochs" else "iter_24.pth"
            mine, theirs = (torch.load(f / last, weights_only=False)["state_dict"] for f in (halved, whole))
            assert mine.keys() == theirs.keys() and all(torch.equal(mine[key], theirs[key]) for key in mine)
    (best,) = (spec for spec in trials if results[spec.id].status.value == "done")
    assert [spec.settings for spec in _finals(tmp_path / "work")] == [best.settings]
