"""Benchmarks of a classifier, and of a segmentor that starts from one's backbone, in real processes."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
import torch
import yaml
from arms import CONFIGS
from benches import Bench
from commands import wait_until
from kills import without_times
from shapes import render_few, write_tiny_recipe

from wrs_mm.bench.packs.pack import pack
from wrs_mm.bench.packs.unpack import unpack
from wrs_mm.bench.report.files import collect, write_tables
from wrs_mm.bench.runs.folder import Run
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.datasets.standin import render_standins
from wrs_mm.openmmlab.backbone_weights import backbone_state

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
    torch.save({"bn1.weight": torch.zeros(64)}, bench.folder / "little.pth")
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


START = "{recipe: before, regularizers: [wd, wrs]}"
"""An entry of a plan's ``pretraining``: the tiny segmentor's own backbone, trained before."""


def pretrained(bench: Bench, arm: str, seed: int = 0) -> Path:
    """The one folder of a pretraining."""
    store = bench.folder / "work_dirs/pretrained"
    wanted = f"before__{arm}__seed{seed}__"
    runs = [Run(path) for path in store.iterdir()]
    (folder,) = (run.folder for run in runs if (one := run.identity()) and one.spec.id.startswith(wanted))
    return folder


def test_runs_start_from_what_was_pretrained_once_for_two_plans(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.recipe("before", iterations=6)
    bench.recipe("after", iterations=4)
    bench.plan("after", regularizers="[wd, wrs]", pretraining=f"[none, {START}]")
    bench.run()
    frame = bench.results()
    assert set(frame["recipe"]) == {"before", "after from scratch", "after from wd", "after from wrs"}
    assert set(frame["status"]) == {"done"} and frame["run"].nunique() == 2 + 3 * 2
    folders = {arm: pretrained(bench, arm) for arm in ("wd", "wrs")}
    for arm, folder in folders.items():
        state = backbone_state(folder / "backbone.pt")
        last = backbone_state(folder / "iter_6.pth")
        assert state.keys() == last.keys() and all(value.equal(last[key]) for key, value in state.items())
        config = (bench.run_folder(f"after-from-{arm}__wd__seed0") / "config.py").read_text()
        assert f"work_dirs/pretrained/{folder.name}/backbone.pt" in config
        log = (bench.run_folder(f"after-from-{arm}__wd__seed0") / "train.log").read_text()
        assert f"pretrained backbone: {len(state) - count_counters(state)} of" in log
    # Another plan finds them, and makes none again.
    before = {path: path.stat().st_mtime_ns for path in (bench.folder / "work_dirs").rglob("*.pt*")}
    bench.plan("after", regularizers="[wd]", pretraining=f"[{START}]", name="other")
    bench.run(work_dir="other")
    assert before == {path: path.stat().st_mtime_ns for path in (bench.folder / "work_dirs").rglob("*.pt*")}
    one, two = (bench.result("after-from-wrs__wd__seed0", folder) for folder in ("work", "other"))
    assert one.metrics == two.metrics and one.config_hash == two.config_hash
    # Also one that calls them otherwise: what is trained is the same.
    alias = "{recipe: {config: before, name: mine}, regularizers: [{wd: {lr: 0.01}}]}"
    bench.plan("after", regularizers="[wd]", pretraining=f"[{alias}]", name="alias")
    bench.run(work_dir="alias")
    assert before == {path: path.stat().st_mtime_ns for path in (bench.folder / "work_dirs").rglob("*.pt*")}
    assert set(bench.results("alias")["recipe"]) == {"mine", "after from wd"}
    # Wherever a report is made, and whoever has named them last.
    text = (bench.folder / "work" / "results.csv").read_text()
    monkeypatch.chdir("/")
    write_tables(collect(WorkDir(bench.folder / "work")))
    assert (bench.folder / "work" / "results.csv").read_text() == text
    # A pack brings pretrainings to where they are for all plans.
    monkeypatch.chdir(bench.folder)
    pack(Path("work"), bench.folder / "all.tar.xz")
    (bench.folder / "elsewhere").mkdir()
    monkeypatch.chdir(bench.folder / "elsewhere")
    unpack([bench.folder / "all.tar.xz"], Path("work"))
    assert {path.name for path in Path("work_dirs/pretrained").iterdir()} == {
        folder.name for folder in folders.values()
    }
    write_tables(collect(WorkDir(Path("work"))))
    assert Path("work/results.csv").read_text() == (bench.folder / "work" / "results.csv").read_text()


def count_counters(state: dict[str, torch.Tensor]) -> int:
    """How many tensors of a state dict nobody asks for."""
    return sum("num_batches_tracked" in name for name in state)


def test_a_killed_pretraining_is_taken_up_and_those_that_wait_for_it_begin_then(bench: Bench) -> None:
    bench.recipe("before", iterations=8, hook="break_at=8, how='kill'")
    bench.recipe("after", iterations=4)
    bench.plan("after", regularizers="[wd]", pretraining="[none, {recipe: before, regularizers: [wd]}]")
    said = bench.run(status=1)
    assert "1 run not begun, because the pretraining before__wd__seed0__" in said
    assert bench.result("after-from-scratch__wd__seed0").status.value == "done"
    assert not (bench.run_folder("after-from-wd__wd__seed0") / "result.json").exists()
    bench.run()
    assert bench.result("after-from-wd__wd__seed0").status.value == "done"
    # Weights that are gone are asked for where something is to start from them, and there alone.
    (pretrained(bench, "wd") / "backbone.pt").unlink()
    bench.run()
    shutil.rmtree(bench.run_folder("after-from-wd__wd__seed0"))
    said = bench.run(status=2)
    assert "backbone.pt is not here" in said and said.count("\n") == 1


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_harness_that_ends_while_it_pretrains_goes_on_there(bench: Bench, stop: signal.Signals) -> None:
    bench.recipe("before", iterations=20, hook="hold_at=8")
    bench.recipe("after", iterations=4)
    bench.plan(
        "after", regularizers="[wrs]", baseline="wrs", pretraining="[{recipe: before, regularizers: [wd]}]"
    )
    process = bench.start()
    store = bench.folder / "work_dirs/pretrained"
    wait_until(lambda: any(store.glob("*/iter_5.pth")), process, "the pretraining has a checkpoint")
    process.send_signal(stop)
    out, err = process.communicate()
    assert process.returncode == (130 if stop is signal.SIGINT else -signal.SIGKILL), out + err
    assert bench.attempts("after-from-wd__wrs__seed0") == []
    bench.let_go()
    bench.run()
    ended = pretrained(bench, "wd")
    assert "resumed epoch" in (ended / "train.log").read_text()

    # Undisturbed, where nothing of it is known.
    shutil.move(store, bench.folder / "ended")
    bench.run(work_dir="undisturbed")
    assert pretrained(bench, "wd").name == ended.name
    one, two = (
        backbone_state(folder / ended.name / "backbone.pt") for folder in (bench.folder / "ended", store)
    )
    assert one.keys() == two.keys() and all(value.equal(two[key]) for key, value in one.items())
    paths = [bench.folder / place / "results.csv" for place in ("work", "undisturbed")]
    assert without_times(paths[0]) == without_times(paths[1])


def test_what_starts_from_a_diverged_pretraining_has_diverged_and_the_rest_goes_on(bench: Bench) -> None:
    bench.recipe("before", iterations=8, hook="break_at=3, how='diverge'")
    bench.recipe("after", iterations=4)
    bench.plan("after", regularizers="[wd]", pretraining="[none, {recipe: before, regularizers: [wd]}]")
    bench.run()
    result = bench.result("after-from-wd__wd__seed0")
    assert result.status.value == "diverged" and result.reason is not None
    assert result.reason.startswith("its pretraining before__wd__seed0__")
    assert bench.result("after-from-scratch__wd__seed0").status.value == "done"


def test_a_backbone_is_pretrained_and_handed_on_as_the_shipped_plan_for_imagenet_says(bench: Bench) -> None:
    """A part of ``imagenet_standin``: ResNet-50 at full size, one arm, and Faster R-CNN from it."""
    render_standins(bench.folder / "data")
    for name in ("imagenet", "coco"):
        (bench.folder / "data" / name).symlink_to(bench.folder / "data" / f"standin-{name}")
    plan = yaml.safe_load((CONFIGS / "benchmarks" / "imagenet_standin.yaml").read_text(encoding="utf-8"))
    pretraining = plan["pretraining"][1]
    plan["pretraining"] = [{"recipe": pretraining["recipe"][:1], "regularizers": ["wrs"]}]
    (bench.folder / "plan.yaml").write_text(
        yaml.safe_dump(plan | {"recipes": plan["recipes"][:1], "regularizers": ["wd"]})
    )
    bench.run()
    (backbone,) = (bench.folder / "work_dirs/pretrained").glob("*/backbone.pt")
    norms = backbone_state(backbone)["layer3.0.conv1.weight"].flatten(1).norm(dim=1)
    assert float((norms - 1).abs().max()) < 1e-5
    name = "coco-faster-rcnn_r50_fpn_syncbn_1x_coco-from-wrs__wd__seed0"
    assert bench.result(name).status.value == "done"
    count = len(backbone_state(backbone)) - count_counters(backbone_state(backbone))
    assert f"pretrained backbone: {count} of {count}" in (bench.run_folder(name) / "train.log").read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "model['backbone'].update(init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet1'))\n",
            "torchvision has no weights called resnet1",
        ),
        (
            "model['backbone'].update(init_cfg=dict(type='Pretrained', checkpoint='file:///no/where.pth'))\n",
            "file:///no/where.pth",
        ),
        ("load_from = 'other.pth'\n", "loaded model: 0 of "),
    ],
)
def test_addresses_and_load_from_are_looked_at_before_runs_start(bench: Bench, more: str, said: str) -> None:
    torch.save({"a.weight": torch.zeros(64)}, bench.folder / "other.pth")
    bench.recipe("small", iterations=6, more=more)
    bench.plan("small", regularizers="[wd]")
    error = bench.run(status=2)
    assert error.startswith("wrs-mm bench run: error: ") and said in error and error.count("\n") == 1
    assert not (bench.folder / "work" / "runs").exists()
