"""Benchmarks of a classifier, and of a segmentor that starts from one's backbone, in real processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from benches import Bench
from shapes import render_few, write_tiny_recipe

from wrs_mm.bench.runs.folder import Run
from wrs_mm.openmmlab.pretrained import backbone_state

pytestmark = pytest.mark.slow

HOOK = """
custom_imports = dict(imports=['wrs_mm', 'watched_hooks'], allow_failed_imports=False)
custom_hooks = [dict(type='BenchTestHook', break_at=4, how={how!r})]
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_classifiers_arms_are_trained_killed_taken_up_and_reported(bench: Bench) -> None:
    data = render_few(bench.folder / "shapes")
    write_tiny_recipe(bench.folder / "steady.py", data)
    write_tiny_recipe(bench.folder / "killed.py", data, HOOK.format(how="kill"))
    bench.plan("steady", "killed", regularizers="[wd, wrs]", split="test")
    bench.run(status=1)
    bench.run()
    frame = bench.results()
    assert set(frame["status"]) == {"done"} and set(frame["task"]) == {"classification"}
    assert set(frame["dataset"]) == {"mini-shapes"} and set(frame["metric"]) == {"top1", "top5"}
    assert set(frame["split"]) == {"tune", "test"}
    for arm in ("wd", "wrs"):
        killed, steady = (bench.result(f"{recipe}__{arm}__seed0__test") for recipe in ("killed", "steady"))
        assert len(bench.attempts(f"killed__{arm}__seed0__test")) == 2
        assert (killed.metrics, killed.test, killed.best) == (steady.metrics, steady.test, steady.best)
        states = [
            backbone_state(bench.run_folder(f"{recipe}__{arm}__seed0__test") / "epoch_2.pth")
            for recipe in ("killed", "steady")
        ]
        assert all(value.equal(states[1][name]) for name, value in states[0].items())
        norms = states[0]["layer1.0.conv1.weight"].flatten(1).norm(dim=1)
        assert bool((norms - 1).abs().max() < 1e-5) == (arm == "wrs")
    table = (bench.folder / "work" / "table.md").read_text()
    assert "Classification" in table and "top1" in table
    # What it trained is found again by what it was trained by.
    identities = [Run(folder).identity() for folder in sorted((bench.folder / "work/runs").iterdir())]
    assert len({one.config_hash for one in identities if one}) == len(identities) == 4


def test_a_plan_whose_backbone_does_not_match_is_refused_before_a_run_starts(bench: Bench) -> None:
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, bench.folder / "little.pth")
    more = "model['backbone'].update(init_cfg=dict(type='Pretrained', checkpoint='little.pth'))\n"
    bench.recipe("small", iterations=6, more=more)
    bench.plan("small", regularizers="[wd]")
    said = bench.run(status=2)
    assert said.startswith("wrs-mm bench run: error: pretrained backbone: 1 of ") and said.count("\n") == 1
    assert "little.pth" in said and "allow_partial=True" in said
    assert not (bench.folder / "work" / "runs").exists()
    bench.plan("small", regularizers="[wd]", cfg_options="{allow_partial: true}")
    bench.run()
    assert bench.result("small__wd__seed0").status.value == "done"
