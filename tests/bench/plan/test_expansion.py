"""The runs that a plan stands for, and their order."""

from __future__ import annotations

from small_plans import GOOD, TUNING

from wrs_mm.bench.plan.expansion import expand, planned_arms, planned_finals
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.recipes import CONFIGS


def test_a_plan_is_the_product_of_its_lists_with_seeds_slowest(write_plan):
    specs = expand(load_plan(write_plan(GOOD)))
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


def test_lists_of_option_values_become_a_grid(write_plan):
    text = GOOD.replace("[none, wd, wrs]", "{wd: {weight_decay: [1e-5, 1.0e-4]}, wrs: null}")
    text = text.replace("baseline: wd", "baseline: wrs")
    arms = {(s.regularizer, str(s.options)) for s in expand(load_plan(write_plan(text)))}
    assert arms == {
        ("wd", "{'weight_decay': 1e-05}"),
        ("wd", "{'weight_decay': 0.0001}"),
        ("wrs", "{}"),
    }


def test_a_list_may_hold_names_and_options(write_plan):
    text = GOOD.replace("[none, wd, wrs]", "[none, {wd: {weight_decay: 1.0e-4}}]")
    specs = expand(load_plan(write_plan(text)))
    assert {str(s.options) for s in specs if s.baseline} == {"{'weight_decay': 0.0001}"}


def test_installed_configs_are_recipes(write_plan):
    name = "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"
    specs = expand(load_plan(write_plan(GOOD.replace("first, second.py", f'"{name}"'))))
    assert {spec.recipe for spec in specs} == {name}
    assert specs[0].id == "mmdet-faster_rcnn-faster-rcnn_r50_fpn_1x_coco__none__seed0"


def test_the_quickstarts_plan_names_a_folder_for_each_arm():
    expected = [
        f"mini-{recipe}_tuned__{arm}__seed0__test"
        for recipe in ("faster-rcnn_r18-narrow_fpn_mini-coco", "pspnet_r18-narrow_mini-cityscapes")
        for arm in ("wd", "wrs", "wrs_matched")
    ]
    specs = expand(load_plan(CONFIGS / "benchmarks" / "mini.yaml"))
    assert [spec.id for spec in specs if spec.seed == 0] == expected


def test_optimizers_and_learning_rates_multiply(write_plan):
    text = GOOD.replace("[none, wd, wrs]", "[wd]").replace("[0, 1]", "[0]")
    text += "optimizers: [recipe, {AdamW: {betas: [0.9, 0.95]}}]\nlearning_rates: [recipe, 1e-2]\n"
    specs = [spec for spec in expand(load_plan(write_plan(text))) if spec.recipe == "first"]
    assert [(s.optimizer, s.optimizer_options, s.learning_rate) for s in specs] == [
        ("recipe", {}, None),
        ("recipe", {}, 0.01),
        ("AdamW", {"betas": [0.9, 0.95]}, None),
        ("AdamW", {"betas": [0.9, 0.95]}, 0.01),
    ]
    assert [spec.id for spec in specs[:2]] == ["first__wd__seed0", "first__wd__lr=0.01__seed0"]
    assert specs[3].optimizer_label == "AdamW (betas=[0.9, 0.95])"
    assert specs[3].id.startswith("first__wd__AdamW-betas=-0.9--0.95-__lr=0.01__seed0__")


def test_the_innermost_learning_rates_hold(write_plan):
    text = GOOD.replace("[none, wd, wrs]", "[wd]").replace("[0, 1]", "[0]")
    text = text.replace("second.py", "{config: second, learning_rates: [0.5, 0.7]}")
    text += "optimizers: [recipe, {AdamW: {lr: [1e-4, 1e-3]}}]\nlearning_rates: [0.1]\n"
    rates = [(s.recipe, s.optimizer, s.learning_rate) for s in expand(load_plan(write_plan(text)))]
    assert rates == [
        ("first", "recipe", 0.1),
        ("first", "AdamW", 1e-4),
        ("first", "AdamW", 1e-3),
        ("second", "recipe", 0.5),
        ("second", "recipe", 0.7),
        ("second", "AdamW", 1e-4),
        ("second", "AdamW", 1e-3),
    ]


def test_one_config_is_several_recipes_under_several_names(write_plan):
    text = GOOD.replace(
        "[first, second.py]",
        "\n- first\n- {config: first, name: tiles, cfg_options: {train_dataloader.batch_size: 4}}",
    )
    text += "cfg_options: {train_dataloader.batch_size: 2, val_dataloader.batch_size: 1}\n"
    specs = {spec.recipe: spec for spec in expand(load_plan(write_plan(text)))}
    assert (specs["first"].config, specs["tiles"].config) == (None, "first")
    assert specs["first"].cfg_options["train_dataloader.batch_size"] == 2
    assert specs["tiles"].cfg_options == {"val_dataloader.batch_size": 1, "train_dataloader.batch_size": 4}
    assert specs["tiles"].id.startswith("tiles__")


def test_anchors_and_merge_keys_share_values_between_recipes(write_plan):
    text = GOOD.replace(
        "[first, second.py]",
        "\n- config: first\n  cfg_options: &small {train_dataloader.batch_size: 1}"
        "\n- config: second\n  cfg_options:\n    <<: *small\n    val_dataloader.batch_size: 2",
    )
    specs = {spec.recipe: spec.cfg_options for spec in expand(load_plan(write_plan(text)))}
    assert specs["second"] == {"train_dataloader.batch_size": 1, "val_dataloader.batch_size": 2}


def test_a_part_of_a_run_is_found_where_the_plan_says_it(write_plan):
    text = GOOD.replace("second.py", "{config: second, cfg_options: {a: 1}, links: {c: 1 * lr}}")
    text += "optimizers: [recipe, {AdamW: {lr: 1}}]\ncfg_options: {a: 2, b: 3}\nlinks: {d: 1 * lr}\n"
    last = planned_arms(load_plan(write_plan(text)))[-1]
    assert last.locate("recipe") == ("recipes", 1)
    assert last.locate("regularizer") == ("regularizers", 2)
    assert last.locate("optimizer") == ("optimizers", 1, "AdamW")
    assert last.locate("cfg_options", "a") == ("recipes", 1, "cfg_options", "a")
    assert last.locate("cfg_options", "b") == ("cfg_options", "b")
    assert last.locate("links", "c") == ("recipes", 1, "links", "c")
    assert last.locate("links", "d") == ("links", "d")


def test_trials_change_slowest_so_that_all_arms_have_had_about_as_many(write_plan):
    text = GOOD + TUNING.replace("[100]", "[100, 101]")
    specs = expand(load_plan(write_plan(text)))
    assert len(specs) == 2 * 3 * 4 * 2
    order = [
        (trial, seed, recipe, arm)
        for trial in range(4)
        for seed in (100, 101)
        for recipe in ("first", "second.py")
        for arm in ("none", "wd", "wrs")
    ]
    assert [(spec.trial, spec.seed, spec.recipe, spec.regularizer) for spec in specs] == order
    rates = {
        spec.trial: {other.settings["lr"] for other in specs if other.trial == spec.trial} for spec in specs
    }
    assert all(len(found) == 1 for found in rates.values()) and len(rates) == 4
    assert {frozenset(spec.settings) for spec in specs if spec.regularizer == "wd"} == {
        frozenset({"lr", "weight_decay"})
    }


def test_a_longer_search_and_another_arm_keep_every_trial(write_plan):
    before = {spec.id for spec in expand(load_plan(write_plan(GOOD + TUNING)))}
    longer = GOOD.replace("wrs]", "wrs, {wrs: {target: 2}}]") + TUNING.replace("trials: 4", "trials: 7")
    after = {spec.id for spec in expand(load_plan(write_plan(longer)))}
    assert before < after
    wider = TUNING.replace("[1.0e-5, 1.0e-1]}", "[1.0e-5, 1.0e-1]}\n    none: {}")
    assert {spec.id for spec in expand(load_plan(write_plan(GOOD + wider)))} == before


def test_each_arm_of_a_regularizer_is_tuned(write_plan):
    text = GOOD.replace("[none, wd, wrs]", "[wd, {wrs: {target: [1, 2]}}]")
    arms = planned_arms(load_plan(write_plan(text + TUNING)))
    assert [arm.options for arm in arms[:3]] == [{}, {"target": 1}, {"target": 2}]
    assert arms[1].points == arms[2].points == [{"lr": point["lr"]} for point in arms[0].points]
    assert {spec.options.get("target") for spec in arms[1].trials()} == {1}


def test_final_runs_are_no_trials_and_have_the_settings_that_were_found(write_plan):
    text = GOOD.replace("[none, wd, wrs]", "[wd, {wrs: {lr: 0.5}}]")
    plan = load_plan(write_plan(text + TUNING.replace("    wrs: {}\n", "    wrs: {target: [1, 2]}\n")))
    wd, wrs = planned_arms(plan)[:2]
    runs = planned_finals([(wd, {"lr": 0.1, "weight_decay": 0.2}), (wrs, {"target": 1.5})])
    assert [(run.spec.seed, run.spec.trial, run.spec.settings) for run in runs] == [
        (seed, None, settings)
        for seed in (0, 1)
        for settings in ({"lr": 0.1, "weight_decay": 0.2}, {"lr": 0.5, "target": 1.5})
    ]
    assert planned_finals([]) == []
