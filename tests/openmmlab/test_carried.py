"""What the package carries is found where a wheel has it, and where a checkout has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.openmmlab import carried as module
from wrs_mm.openmmlab.carried import carried, carried_recipes, find_carried, inheritable

ROOT = Path(__file__).resolve().parents[2]
PSPNET = "mini/pspnet_r18-narrow_mini-cityscapes"


def test_a_checkout_has_it_beside_the_package() -> None:
    assert (carried("configs"), carried("tools")) == (ROOT / "configs", ROOT / "tools")


def test_a_wheel_has_it_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "wrs_mm"
    recipe = package / ".mim" / "configs" / "mini" / "own.py"
    recipe.parent.mkdir(parents=True)
    recipe.touch()
    # Another package's, which happens to lie there.
    (package.parent / "configs").mkdir()
    monkeypatch.setattr(module, "_PACKAGE", package)
    assert carried("tools") == package / ".mim" / "tools"
    assert find_carried("mini/own", ".py") == recipe
    assert carried_recipes() == ["mini/own"]


@pytest.mark.parametrize("name", [PSPNET, f"{PSPNET}.py", f"configs/{PSPNET}", f"configs/{PSPNET}.py"])
def test_a_name_may_have_its_ending_and_its_folder(name: str) -> None:
    assert find_carried(name, ".py") == find_carried(Path(name), ".py") == ROOT / "configs" / f"{PSPNET}.py"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "mini",
        "mini/",
        "mini/nothing",
        f"../configs/{PSPNET}",
        str(ROOT / "configs" / PSPNET),
        "mini.yaml",
    ],
)
def test_nothing_else_is_a_name(name: str) -> None:
    assert find_carried(name, ".py") is None


def test_a_plan_is_no_recipe() -> None:
    plan = ROOT / "configs" / "benchmarks" / "mini.yaml"
    assert find_carried("benchmarks/mini", ".yaml") == plan
    assert find_carried("benchmarks/mini.yaml", ".py") is None


def test_the_recipes_and_their_arms_are_listed_and_what_they_inherit_is_not() -> None:
    names = carried_recipes()
    assert {PSPNET, f"{PSPNET}_wrs", "coco/faster-rcnn_r50_fpn_syncbn_1x_coco"} <= set(names)
    assert all(find_carried(name, ".py") for name in names)
    assert not [name for name in names if name.startswith(("_base_", "benchmarks"))]


def test_a_config_elsewhere_inherits_a_recipe_by_its_whole_name_and_a_file_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert inheritable(PSPNET) == inheritable(f"configs/{PSPNET}.py") == f"wrs_mm::{PSPNET}.py"
    Path("own.py").touch()
    for source in ("own.py", "mmdet::a/b.py", "nowhere.py"):
        assert inheritable(source) == source
