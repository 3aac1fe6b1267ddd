"""Plans: what a file stands for, and one line for each mistake in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.bench.plan import RunSpec, expand, load_plan
from wrs_mm.errors import PlanError

GOOD = """
name: two
recipes: [first, second.py]
regularizers: [none, wd, wrs]
seeds: [0, 1]
baseline: wd
"""


@pytest.fixture
def write(tmp_path: Path):
    """Writes a plan beside two recipes and returns its path."""
    for name in ("first", "second"):
        (tmp_path / f"{name}.py").write_text("default_scope = 'mmseg'\n")

    def _write(text: str | bytes) -> Path:
        path = tmp_path / "plan.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return _write


def test_a_plan_is_the_product_of_its_lists_with_seeds_slowest(write):
    specs = expand(load_plan(write(GOOD)))
    assert len(specs) == 2 * 3 * 2
    assert [spec.seed for spec in specs] == [0] * 6 + [1] * 6
    assert [(s.recipe, s.regularizer) for s in specs[:3]] == [
        ("first", "none"),
        ("first", "wd"),
        ("first", "wrs"),
    ]
    assert {spec.regularizer for spec in specs if spec.baseline} == {"wd"}
    assert {spec.optimizer for spec in specs} == {"recipe"}
    assert len({spec.id for spec in specs}) == len(specs)


def test_lists_of_option_values_become_a_grid(write):
    text = GOOD.replace("[none, wd, wrs]", "{wd: {weight_decay: [1e-5, 1.0e-4]}, wrs: null}")
    text = text.replace("baseline: wd", "baseline: wrs")
    arms = {(s.regularizer, str(s.options)) for s in expand(load_plan(write(text)))}
    assert arms == {
        ("wd", "{'weight_decay': 1e-05}"),
        ("wd", "{'weight_decay': 0.0001}"),
        ("wrs", "{}"),
    }


def test_a_list_may_hold_names_and_options(write):
    text = GOOD.replace("[none, wd, wrs]", "[none, {wd: {weight_decay: 1.0e-4}}]")
    specs = expand(load_plan(write(text)))
    assert {str(s.options) for s in specs if s.baseline} == {"{'weight_decay': 0.0001}"}


def test_a_baseline_in_a_sweep_must_name_one_arm(write):
    sweep = GOOD.replace("[none, wd, wrs]", "{wd: {weight_decay: [1.0e-5, 1.0e-4]}}")
    with pytest.raises(PlanError, match=r"stands for 2 arms; write one of them, .*weight_decay"):
        load_plan(write(sweep))
    chosen = sweep.replace("baseline: wd", "baseline: {wd: {weight_decay: 1.0e-4}}")
    specs = expand(load_plan(write(chosen)))
    assert {s.options["weight_decay"] for s in specs if s.baseline} == {1e-4}


def test_installed_configs_are_recipes(write):
    name = "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"
    specs = expand(load_plan(write(GOOD.replace("first, second.py", f'"{name}"'))))
    assert {spec.recipe for spec in specs} == {name}
    assert specs[0].id == "mmdet-faster_rcnn-faster-rcnn_r50_fpn_1x_coco__none__seed0"


MISTAKES = {
    "empty": ("", "the plan is empty"),
    "no mapping": ("[a, b]", "a plan is a mapping"),
    "not YAML": ("name: [a\nb: {", "line 2: not valid YAML"),
    "binary": (b"\xff\xfe\x00", "not UTF-8"),
    "key twice": (GOOD + "name: again\n", "'name' is written twice"),
    "unknown key": (GOOD + "seed: 1\n", "unknown key 'seed'; a plan has name, recipes"),
    "no seeds": (GOOD.replace("seeds: [0, 1]", ""), "seeds is missing"),
    "empty seeds": (GOOD.replace("[0, 1]", "[]"), "seeds is empty"),
    "seed a word": (GOOD.replace("[0, 1]", "[zero]"), "seeds.0: "),
    "seed negative": (GOOD.replace("[0, 1]", "[-1]"), "-1 is not a seed"),
    "seed twice": (GOOD.replace("[0, 1]", "[1, 1]"), "1 is listed twice"),
    "no recipe": (GOOD.replace("[first, second.py]", "[]"), "recipes is empty"),
    "unknown recipe": (GOOD.replace("first,", "third,"), "recipe 'third' is neither"),
    "recipe twice": (GOOD.replace("second.py", "first"), "first is listed twice"),
    "same recipe": (GOOD.replace("second.py", "first.py"), "would share the folder"),
    "unknown scope": (GOOD.replace("first,", '"mmpose::a.py",'), "no package 'mmpose' is installed"),
    "unknown installed": (GOOD.replace("first,", '"mmdet::no.py",'), "mmdet carries no 'no.py'"),
    "unknown arm": (GOOD.replace("wrs]", "wrss]"), "regularizer 'wrss' is not known; write one of"),
    "arm twice": (GOOD.replace("wrs]", "wd]"), "the arm wd is listed twice"),
    "arm a number": (GOOD.replace("wrs]", "3]"), "3 is not the name of a regularizer"),
    "options a number": (GOOD.replace("wrs]", "{wd: 3}]"), "write the options of wd as"),
    "no value": (GOOD.replace("wrs]", "{wrs: {interval: []}}]"), "wrs.interval lists no value"),
    "unknown option": (GOOD.replace("wrs]", "{wrs: {intervall: 2}}]"), "intervall"),
    "wrong value": (GOOD.replace("wrs]", "{wrs: {interval: often}}]"), "often"),
    "unknown optimizer": (GOOD + "optimizers: [adamm]\n", "optimizer 'adamm' is not known"),
    "no baseline": (GOOD.replace("baseline: wd", ""), "baseline is missing"),
    "foreign baseline": (
        GOOD.replace("baseline: wd", "baseline: l1"),
        "baseline l1 is not among the arms; write one of none, wd, wrs",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_each_mistake_is_one_line_that_names_the_file(case, write):
    text, expected = MISTAKES[case]
    with pytest.raises(PlanError) as caught:
        expand(load_plan(write(text)))
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message
    if case != "same recipe":
        assert "plan.yaml" in message


def test_a_missing_plan_is_named(tmp_path):
    with pytest.raises(PlanError, match=r"nowhere\.yaml: cannot be read"):
        load_plan(tmp_path / "nowhere.yaml")


def _spec(**changes) -> RunSpec:
    values = {
        "recipe": "mini/pspnet",
        "regularizer": "wd",
        "options": {},
        "optimizer": "recipe",
        "seed": 0,
        "baseline": False,
    }
    return RunSpec(**{**values, **changes})


def test_folder_names_are_safe_distinct_and_independent_of_the_baseline():
    assert _spec().id == "mini-pspnet__wd__seed0"
    assert _spec(options={"weight_decay": 1e-5}).id == "mini-pspnet__wd-weight_decay=1e-05__seed0"
    assert _spec(baseline=True).id == _spec().id
    odd = [_spec(recipe="ü b"), _spec(recipe="ö b"), _spec(recipe="../x"), _spec(recipe="a" * 400)]
    names = [spec.id for spec in odd]
    assert len(set(names)) == len(names)
    for name in names:
        assert len(name) < 200
        assert "/" not in name
        assert not name.startswith(".")
