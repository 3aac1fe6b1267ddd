"""A wheel installed where there is no checkout: recipes, plans, scripts and types are found from any folder.

It is built from the sdist, as a package index would have it, and installed into an environment that has the
dependencies of this one and nothing else of it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import mmdet
import pandas as pd
import pytest
import torch
from commands import run, succeed

from wrs_mm.datasets import mini_detection, mini_segmentation, render_mini

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
RECIPE = "mini/pspnet_r18-narrow_mini-cityscapes"

SHORT = """
train_cfg = dict(max_iters=2, val_interval=2)
train_dataloader = dict(batch_size=2)
default_hooks = dict(checkpoint=dict(interval=2, save_best=None))
"""
"""What makes of a recipe for a segmentor one of two iterations."""

OPTIONS = ["train_cfg.max_iters=2", "train_cfg.val_interval=2", "train_dataloader.batch_size=2"]
"""The same as ``--cfg-options``."""

Call = Callable[..., CompletedProcess[str]]


def build(target: Path, source: Path) -> Path:
    """Build a wheel of a checkout or an sdist, as ``pip install`` would, without a network."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", target]
    succeed(run([*pip, *options, source], cwd=target.parent))
    (wheel,) = target.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sdist")
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(target)!r})"
    succeed(run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT))
    (path,) = target.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"), sdist)


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it."""
    path = tmp_path_factory.mktemp("environment") / "env"
    succeed(run([sys.executable, "-m", "venv", "--without-pip", path], cwd=path.parent))
    (packages,) = path.glob("lib/python*/site-packages")
    # Folders named in a .pth are searched; a .pth in them, such as one that leads to a checkout, is not read.
    others = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    (packages / "dependencies.pth").write_text("\n".join(others) + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", path / "bin" / "python"]
    succeed(run([*pip, "install", "--quiet", "--no-deps", "--no-index", wheel], cwd=path.parent))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few images in it and nothing else."""
    path = tmp_path_factory.mktemp("some where")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini_detection, "SPLITS", {"train2017": 2, "val2017": 1, "test2017": 1})
        cities = {"train": {"a": 4}, "val": {"b": 2}, "test": {"c": 2}}
        patch.setattr(mini_segmentation, "CITIES", cities)
        render_mini(path / "data")
    return path


@pytest.fixture(scope="module")
def call(environment: Path, folder: Path) -> Call:
    """Runs a program of the environment in the folder, and holds that it succeeds.

    The environment is not activated: what needs its Python has to find it.
    """
    variables = {"PYTHONPATH": "", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}

    def succeeds(program: str | Path, *arguments: str | Path) -> CompletedProcess[str]:
        done = run([environment / "bin" / program, *arguments], cwd=folder, environment=variables)
        succeed(done)
        return done

    return succeeds


def test_checkout_and_sdist_make_the_same_wheel_and_leave_nothing_behind(wheel: Path, tmp_path: Path) -> None:
    def traces() -> set[Path]:
        return {path for name in ("build", "dist", "*.egg-info", "wrs_mm/.mim") for path in ROOT.glob(name)}

    before = traces()
    built = build(tmp_path / "wheel", ROOT)
    assert traces() == before
    names = [sorted(zipfile.ZipFile(path).namelist()) for path in (wheel, built)]
    assert names[0] == names[1]
    carried = {name.removeprefix("wrs_mm/.mim/") for name in names[0] if name.startswith("wrs_mm/.mim/")}
    configs = {path for kind in ("py", "y*ml") for path in (ROOT / "configs").rglob(f"*.{kind}")}
    assert {path.relative_to(ROOT).as_posix() for path in configs} <= carried
    assert {"model-index.yml", "tools/train.py", "tools/dist_train.sh", "tools/launch.sh"} <= carried
    assert not [name for name in carried if "__pycache__" in name or name.endswith(("setup.sh", "lint.sh"))]


def test_the_package_is_the_wheels(environment: Path, call: Call) -> None:
    # mmengine's hub finds a recipe by the metafile.
    code = (
        "import wrs_mm, torch; from mmengine.hub import get_config; print(wrs_mm.__file__, torch.__file__, "
        f"get_config('wrs_mm::{RECIPE}.py').filename, sep=chr(10))"
    )
    ours, theirs, recipe = (Path(line) for line in call("python", "-c", code).stdout.splitlines())
    assert ours.is_relative_to(environment)
    assert theirs == Path(torch.__file__)
    assert recipe == ours.parent / ".mim" / "configs" / f"{RECIPE}.py"
    assert Path(call("wrs-mm", "tools").stdout.strip()) == ours.parent / ".mim" / "tools"


def test_a_plan_and_its_recipes_are_found_by_name(call: Call) -> None:
    assert "6 runs: 2 recipes × 3 arms × 1 seed" in call("wrs-mm", "bench", "plan", "mini").stdout


def test_a_plan_is_run(folder: Path, call: Call) -> None:
    lines = "\n".join(f"  {option.replace('=', ': ')}" for option in OPTIONS)
    plan = f"name: own\nrecipes: [{RECIPE}]\nregularizers: [wd]\nbaseline: wd\nseeds: [0]\ncfg_options:\n"
    (folder / "plan.yaml").write_text(plan + lines)
    call("wrs-mm", "bench", "run", "plan.yaml", "--work-dir", "benchmark")
    results = pd.read_csv(folder / "benchmark" / "results.csv")
    assert set(results.recipe) == {RECIPE} and set(results.status) == {"done"}
    call("wrs-mm", "bench", "report", "benchmark")
    assert (folder / "benchmark" / "report.html").exists()


def test_a_recipe_is_audited_by_name(call: Call) -> None:
    assert "27 of 28 weights are scale-invariant" in call("wrs-mm", "audit", f"{RECIPE}_wrs").stdout


def unit_norms(checkpoint: Path) -> bool:
    """Whether a filter's weights have the norm that WRS gives them."""
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]["backbone.layer1.0.conv1.weight"]
    norms = weights.flatten(1).norm(dim=1)
    return bool(torch.allclose(norms, torch.ones_like(norms)))


def test_a_config_of_anybodys_inherits_by_name_and_trains(folder: Path, call: Call) -> None:
    (folder / "own.py").write_text(f"_base_ = 'wrs_mm::{RECIPE}_wrs.py'\n{SHORT}")
    call("wrs-mm", "train", "own.py", "--work-dir", "own")
    assert unit_norms(folder / "own" / "iter_2.pth")


def test_mmdets_own_script_trains_such_a_config(folder: Path, call: Call) -> None:
    (line,) = (
        line for line in (ROOT / "docs" / "recipes.md").read_text().splitlines() if "__import__" in line
    )
    recipe = "coco/faster-rcnn_r50_fpn_syncbn_1x_coco_wrs.py"
    assert recipe in line
    line = line.replace(recipe, "mini/faster-rcnn_r18-narrow_fpn_mini-coco_wrs.py")
    (folder / "theirs.py").write_text(f"{line}\ntrain_cfg = dict(max_epochs=1, val_interval=1)\n")
    script = Path(mmdet.__file__).parent / ".mim" / "tools" / "train.py"
    call("python", script, "theirs.py", "--work-dir", "theirs")
    assert unit_norms(folder / "theirs" / "epoch_1.pth")


@pytest.mark.dist
def test_two_processes_train_a_recipe_by_name(environment: Path, folder: Path, call: Call) -> None:
    (script,) = environment.glob("lib/python*/site-packages/wrs_mm/.mim/tools/dist_train.sh")
    call(script, f"{RECIPE}_wrs", "2", "--work-dir", "two", "--cfg-options", *OPTIONS)
    (log,) = (folder / "two").glob("*/*.log")
    assert "Distributed training: True" in log.read_text()
    assert "GPU number: 2" in log.read_text()
    assert unit_norms(folder / "two" / "iter_2.pth")


MIM = [
    "openmim==0.3.9", "certifi", "charset-normalizer", "colorama", "idna", "markdown", "model-index",
    "opendatalab==0.0.10", "ordered-set", "requests", "tabulate", "urllib3",
]  # fmt: skip
"""mim and what it imports, without the setuptools 60.2 that it demands and torch does not go with."""


@pytest.fixture(scope="module")
def mim(environment: Path, folder: Path) -> Call:
    """Runs mim in the folder, in a copy of the environment that has it, activated."""
    path = environment.parent / "with mim"
    shutil.copytree(environment, path, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", path / "bin" / "python"]
    installed = run([*pip, "install", "--quiet", "--no-deps", *MIM], cwd=folder)
    if installed.returncode:
        pytest.skip("no package index to install mim from")

    def succeeds(*arguments: str | Path) -> CompletedProcess[str]:
        done = run(
            [path / "bin" / "python", "-m", "mim", *arguments],
            cwd=folder,
            environment={"PYTHONPATH": "", "PATH": f"{path / 'bin'}:/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        )
        succeed(done)
        return done

    return succeeds


def test_mim_finds_and_trains_a_recipe(folder: Path, mim: Call) -> None:
    assert (
        "configs/coco/retinanet_r50_fpn_syncbn_1x_coco.py"
        in mim("search", "wrs_mm", "--dataset", "COCO").stdout
    )
    mim("train", "wrs_mm", f"{RECIPE}_wrs.py", "--gpus", "0", "--work-dir", "mim", "--cfg-options", *OPTIONS)
    assert unit_norms(folder / "mim" / "iter_2.pth")


TWO_STEPS = """
import copy, sys
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
import wrs_mm
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch, smallest_size
from wrs_mm.regularizers import apply_regularizer

config = load_config(sys.argv[1])
config.optim_wrapper.optimizer.lr *= 1e-3
with DefaultScope.overwrite_default_scope(config.default_scope):
    model = build_model(config)
    arm = apply_regularizer(config, "wrs", frozen_bn="fold", target="init")
    wrapper = build_optim_wrapper(model, arm.optim_wrapper)
    size = smallest_size(model, sizes=(64, 128, 256))
    for seed in range(2):
        loss = model.train_step(random_batch(model, size=size, seed=seed), wrapper)["loss"]
        print(f"loss {float(loss):.3f}")
    print(f"rescaled {len(wrapper.method.rescaled)}")
"""


@pytest.mark.parametrize(
    ("config", "rescaled"),
    [
        ("mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic", 53),
        ("mmdet::dino/dino-4scale_r50_8xb2-12e_coco", 42),
        ("mmdet::guided_anchoring/ga-retinanet_r50_fpn_1x_coco", 42),
    ],
)
def test_models_whose_operators_are_ours_train_two_steps(
    folder: Path, environment: Path, call: Call, config: str, rescaled: int
) -> None:
    script = folder / "two_steps.py"
    script.write_text(TWO_STEPS)
    lines = call(environment / "bin" / "python", "-W", "ignore", script, config).stdout.splitlines()
    assert sum(line.startswith("loss ") and "nan" not in line for line in lines) == 2
    assert f"rescaled {rescaled}" in lines


def test_a_users_mypy_sees_the_types(environment: Path, folder: Path) -> None:
    # Without torch's types, which take it a minute.
    (folder / "mypy.ini").write_text("[mypy]\n[mypy-torch.*,mmengine.*]\nfollow_imports = skip\n")
    (folder / "user.py").write_text(
        "from wrs_mm.rescaling import WeightRescaler\n"
        "reveal_type(WeightRescaler.rescale)\nWeightRescaler(optimiser=1)\n"
    )
    options = ["--python-executable", environment / "bin" / "python", "--cache-dir", os.devnull]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "user.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert 'Revealed type is "def (self: wrs_mm.rescaling.weight_rescaler.WeightRescaler' in done.stdout
    assert 'Missing positional arguments "model", "optimizer"' in done.stdout
