"""One place makes the arms: from the recipe, what it says of its arms, and the options given.

Also what the regularizers share (``_optim_wrapper.py``). Overlays are held against it in
tests/configs/test_overlays.py.
"""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from mmengine.config import Config

from wrs_mm import regularizers
from wrs_mm.errors import OptionError
from wrs_mm.regularizers import RECIPE_KEY, apply_regularizer
from wrs_mm.regularizers.overlay import overlay

SGD = {"type": "SGD", "lr": 0.1, "weight_decay": 1e-4}


def recipe(**keys: object) -> Config:
    return Config({"optim_wrapper": {"type": "OptimWrapper", "optimizer": SGD}, "model": {"a": 1}, **keys})


def read(folder: Path, text: str) -> Config:
    (folder / "mine.py").write_text(text)
    return Config.fromfile(folder / "mine.py")


def test_an_arm_differs_in_optim_wrapper_only_and_leaves_the_recipe_as_it_is():
    cfg = recipe(custom_imports={"imports": ["mine"], "allow_failed_imports": False})
    before = copy.deepcopy(cfg.to_dict())
    for name in regularizers.names():
        arm = apply_regularizer(cfg, name)
        assert {k: v for k, v in arm.items() if k not in ("optim_wrapper", "custom_imports")} == {
            "model": {"a": 1}
        }
        assert arm.custom_imports == {"imports": ["mine", "wrs_mm"], "allow_failed_imports": False}
    assert cfg.to_dict() == before


OURS = sorted(set(regularizers.names()) - {"projected", "ws", "ic"})
"""Those that only set the wrapper."""


@pytest.mark.parametrize("own", [{}, {"clip_grad": {"max_norm": 1.0}}])
@pytest.mark.parametrize("kind", ["OptimWrapper", "AmpOptimWrapper"])
@pytest.mark.parametrize("other", OURS)
def test_an_arm_of_an_arm_is_that_of_its_recipe(other: str, kind: str, own: dict):
    constructor = {"constructor": "mine.Constructor", "paramwise_cfg": {"decay_rate": 0.9}} if own else {}
    cfg = recipe(optim_wrapper={"type": kind, "optimizer": SGD, **own, **constructor})
    options = {"wd": {"weight_decay": 1e-3}, "wrs_matched": {"weight_decay": 1e-3}}
    other_options = {"wrs": {"other_decay": False}, **options}.get(other, {})
    arm = apply_regularizer(cfg, other, **other_options)
    for name in regularizers.names():
        twice = apply_regularizer(arm, name, **options.get(name, {}))
        once = apply_regularizer(cfg, name, **options.get(name, {}))
        assert twice.optim_wrapper == once.optim_wrapper


def test_an_arm_imports_what_it_is_made_of():
    assert apply_regularizer(recipe(), "wrs").custom_imports.imports == ["wrs_mm"]


def test_a_recipe_that_imports_one_package_may_name_it_without_a_list():
    said = {"imports": "mmpretrain.models", "allow_failed_imports": False}
    arm = apply_regularizer(recipe(custom_imports=said), "wrs")
    assert arm.custom_imports == {**said, "imports": ["mmpretrain.models", "wrs_mm"]}
    for nothing in (None, {}, {"imports": None}):
        arm = apply_regularizer(recipe(custom_imports=nothing), "wrs")
        assert arm.custom_imports["imports"] == ["wrs_mm"]


def test_a_recipe_without_the_key_has_the_regularizers_defaults():
    assert apply_regularizer(recipe(), "wrs").optim_wrapper.wrs == {}
    assert "scale_invariance" not in apply_regularizer(recipe(), "none").optim_wrapper


def test_the_recipes_options_hold_and_given_ones_come_over_them():
    cfg = recipe(regularizers={"wrs": {"frozen_bn": "fold", "target": "init"}, "none": {"frozen_bn": "fold"}})
    assert apply_regularizer(cfg, "wrs").optim_wrapper.wrs == {"frozen_bn": "fold", "target": "init"}
    given = apply_regularizer(cfg, "wrs", target=2.0, interval=5).optim_wrapper.wrs
    assert given == {"frozen_bn": "fold", "target": 2.0, "interval": 5}
    assert apply_regularizer(cfg, "none").optim_wrapper.scale_invariance == {"frozen_bn": "fold"}
    assert "scale_invariance" not in apply_regularizer(cfg, "none", frozen_bn="skip").optim_wrapper


@pytest.mark.parametrize("name", regularizers.names())
def test_an_arm_trains_with_the_learning_rate_that_the_recipe_or_the_caller_gives_it(name: str):
    plain = recipe()
    own = recipe(regularizers={name: {"lr": 0.05}})
    expected = apply_regularizer(plain, name)
    expected.optim_wrapper.optimizer.lr = 0.05
    assert apply_regularizer(own, name).to_dict() == expected.to_dict()
    assert apply_regularizer(plain, name, lr=0.05).to_dict() == expected.to_dict()
    assert apply_regularizer(own, name, lr=0.2).optim_wrapper.optimizer.lr == 0.2
    assert own.optim_wrapper.optimizer.lr == plain.optim_wrapper.optimizer.lr


def test_an_arm_has_no_arms():
    cfg = recipe(regularizers={"wrs": {"frozen_bn": "fold"}})
    assert all(RECIPE_KEY not in apply_regularizer(cfg, name) for name in regularizers.names())


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            "dict(wsr=dict(target='init'))",
            "there is no regularizer 'wsr'; there are none, wd, wrs, wrs_matched",
        ),
        ("dict(wrs=dict(targte='init'))", "the regularizer 'wrs' has no option 'targte': its options are "),
        ("dict(wrs=dict(interval=0))", "interval"),
        ("dict(wrs=dict(lr=0))", "wrs: lr must be a positive number, not 0"),
        ("dict(wrs='init')", r"write wrs=dict\(...\), not 'init'"),
        ("['wrs']", r"write dict\(wrs=dict\(...\)\), not \['wrs'\]"),
    ],
)
@pytest.mark.parametrize("name", ["wrs", "wd"])
def test_a_mistake_in_the_key_is_one_line_with_the_recipes_file(
    said: str, message: str, name: str, tmp_path: Path
):
    cfg = read(tmp_path, f"optim_wrapper = dict(optimizer=dict({SGD}))\nregularizers = {said}\n")
    with pytest.raises(OptionError, match=rf"mine\.py: regularizers: .*{message}") as caught:
        apply_regularizer(cfg, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("wsr", {}, "there is no regularizer 'wsr'"),
        ("wrs", {"targte": 1}, "the regularizer 'wrs' has no option 'targte'"),
        ("wd", {"weight_decay": -1}, "weight_decay must be a number ≥ 0"),
        ("wd", {"lr": "fast"}, "lr must be a positive number, not 'fast'"),
    ],
)
def test_a_mistake_in_the_options_given_does_not_blame_the_recipe(name: str, options: dict, message: str):
    with pytest.raises(OptionError, match=f"^(wd: )?{message}"):
        apply_regularizer(recipe(regularizers={"wrs": {"target": "init"}}), name, **options)


@pytest.mark.parametrize(
    ("wrapper", "message"),
    [
        ({"type": "ApexOptimWrapper"}, "is a ApexOptimWrapper, which WRSOptimWrapper cannot stand in for"),
        (
            {"type": "mine.LookaheadWrapper"},
            "is a LookaheadWrapper, which WRSOptimWrapper cannot stand in for",
        ),
    ],
)
def test_a_recipe_whose_wrapper_does_more_is_refused(wrapper: dict, message: str):
    with pytest.raises(OptionError, match=message):
        apply_regularizer(recipe(optim_wrapper={"optimizer": SGD, **wrapper}), "wrs")


@pytest.mark.parametrize("name", regularizers.names())
@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"optim_wrapper": {"generator": {"optimizer": SGD}, "critic": {"optimizer": SGD}}},
            r"several optimizers \(generator, critic\); arms are for one optimizer, not for an Opt",
        ),
        ({"optim_wrapper": {"type": "OptimWrapper"}}, r"has no optimizer=dict\(...\); arms are for one"),
        ({"optim_wrapper": None}, "it trains nothing: an arm needs optim_wrapper=dict"),
        (
            {"optim_wrapper": {"optimizer": SGD, "paramwise_cfg": "x"}},
            "paramwise_cfg in its optim_wrapper must be a dict, not 'x'",
        ),
    ],
)
def test_a_recipe_without_one_optimizer_that_arms_can_read_has_none(name: str, keys: dict, message: str):
    with pytest.raises(OptionError, match=f"^the config: .*{message}") as caught:
        apply_regularizer(recipe(**keys), name, lr=0.1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("constructor", ["LearningRateDecayOptimizerConstructor", "mine.Constructor"])
def test_a_recipes_own_constructor_goes_on_making_the_groups(constructor: str):
    own = {"optimizer": SGD, "constructor": constructor, "paramwise_cfg": {"decay_rate": 0.9}}
    arm = apply_regularizer(recipe(optim_wrapper=own), "wrs").optim_wrapper
    assert arm.base_constructor == constructor and arm.paramwise_cfg == {"decay_rate": 0.9}
    # An arm of an arm, and mmengine's own constructor, which ours is one of.
    assert apply_regularizer(recipe(optim_wrapper=arm), "none").optim_wrapper.base_constructor == constructor
    default = {"optimizer": SGD, "constructor": "DefaultOptimWrapperConstructor"}
    assert "base_constructor" not in apply_regularizer(recipe(optim_wrapper=default), "wrs").optim_wrapper


@pytest.mark.parametrize("name", regularizers.names())
@pytest.mark.parametrize(
    "wrapper",
    [
        "",
        "paramwise_cfg=dict(norm_decay_mult=0.), ",
        # What an overlay cannot add to, it replaces.
        "type='WRSOptimWrapper', wrs=dict(interval=7), ",
    ],
)
def test_an_overlay_says_what_makes_the_arm_of_its_recipe(name: str, wrapper: str, tmp_path: Path):
    text = (
        f"optim_wrapper = dict({wrapper}optimizer=dict({', '.join(f'{k}={v!r}' for k, v in SGD.items())}))\n"
    )
    cfg = read(tmp_path, f"{text}custom_imports = dict(imports=['json'], allow_failed_imports=False)\n")
    file = tmp_path / f"mine_{name}.py"
    file.write_text(overlay(cfg, name, tmp_path / "mine.py"))
    assert Config.fromfile(file).to_dict() == apply_regularizer(cfg, name).to_dict()
    first, second, third, *_ = file.read_text().splitlines()
    assert (
        first.startswith("# ") and second == f"# Written by `wrs-mm config mine.py --arm {name} --overlay`."
    )
    assert third == "_base_ = './mine.py'"


def test_an_overlay_of_a_toolboxs_recipe_inherits_it_by_name():
    text = overlay(recipe(), "wrs", "mmdet::retinanet/retinanet_r50_fpn_1x_coco")
    assert "_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'\n" in text
    assert "wrs_mm" in text


def test_a_regularizer_that_writes_into_its_recipe_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def doubling(optim_wrapper: dict) -> dict:
        optim_wrapper["optimizer"]["lr"] *= 2
        return optim_wrapper

    monkeypatch.setattr(regularizers, "REGULARIZERS", {"doubling": doubling})
    cfg = recipe()
    made = [apply_regularizer(cfg, "doubling").optim_wrapper.optimizer.lr for _ in range(2)]
    assert made == [0.2, 0.2] and cfg.optim_wrapper.optimizer.lr == 0.1
    assert regularizers._PLAIN["optim_wrapper"]["optimizer"]["lr"] == 0.1
