"""Plans: what a file stands for, and one line for each mistake in it."""

from __future__ import annotations

import re

import pytest
from small_plans import GOOD, TUNING

from wrs_mm.bench.plan.expansion import expand
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.errors import PlanError


def test_a_baseline_in_a_sweep_must_name_one_arm(write_plan):
    sweep = GOOD.replace("[none, wd, wrs]", "{wd: {weight_decay: [1.0e-5, 1.0e-4]}}")
    with pytest.raises(PlanError, match=r"stands for 2 arms; write one of them, .*weight_decay"):
        load_plan(write_plan(sweep))
    chosen = sweep.replace("baseline: wd", "baseline: {wd: {weight_decay: 1.0e-4}}")
    specs = expand(load_plan(write_plan(chosen)))
    assert {s.options["weight_decay"] for s in specs if s.baseline} == {1e-4}


# What is wrong, what the message says, and the line that it names (None: the file has no such line).
MISTAKES = {
    "empty": ("", "the plan is empty", None),
    "no mapping": ("[a, b]", "a plan is a mapping", None),
    "not YAML": ("name: [a\nb: {", "not valid YAML", 2),
    "binary": (b"\xff\xfe\x00", "not UTF-8", None),
    "control characters": ("name: \x07", "not valid YAML: special characters", 1),
    "key twice": (GOOD + "name: again\n", "'name' is written twice", 7),
    "key a list": (GOOD + "[a, b]: 1\n", "a key must be plain text", 7),
    "endless anchor": (GOOD + "cfg_options: &a {model: *a}\n", "an anchor holds itself", 7),
    "unknown key": (GOOD + "seed: 1\n", "unknown key 'seed'; did you mean seeds?", 7),
    "unknown key, unlike any": (GOOD + "x: 1\n", "unknown key 'x'; a plan has name, recipes", 7),
    "no seeds": (GOOD.replace("seeds: [0, 1]", ""), "seeds is missing", None),
    "empty seeds": (GOOD.replace("[0, 1]", "[]"), "seeds is empty", 5),
    "seed a word": (GOOD.replace("[0, 1]", "[zero]"), "seeds.0: ", 5),
    "seed negative": (GOOD.replace("[0, 1]", "[-1]"), "-1 is not a seed", 5),
    "seed in a list": (GOOD.replace("[0, 1]", "\n  - 0\n  - -7"), "-7 is not a seed", 7),
    "seed twice": (GOOD.replace("[0, 1]", "[1, 1]"), "1 is listed twice", 5),
    "no recipe": (GOOD.replace("[first, second.py]", "[]"), "recipes is empty", 3),
    "recipes a name": (GOOD.replace("[first, second.py]", "first"), "recipes: ", 3),
    "unknown recipe": (GOOD.replace("first,", "third,"), "recipe 'third' is neither", 3),
    "recipe twice": (GOOD.replace("second.py", "first"), "first is listed twice", 3),
    "same recipe": (GOOD.replace("second.py", "first.py"), "would share the folder", 3),
    "recipe a number": (GOOD.replace("second.py", "3"), "write the name of a config", 3),
    "recipe without config": (GOOD.replace("second.py", "{name: a}"), "config is missing", 3),
    "recipe key": (
        GOOD.replace("[first, second.py]", "\n- config: first\n  nme: a"),
        "unknown key 'nme'; did you mean name?",
        5,
    ),
    "recipe learning rate": (
        GOOD.replace("[first, second.py]", "\n- config: first\n  learning_rates:\n  - 0.1\n  - fast"),
        "'fast' is no learning rate",
        7,
    ),
    "arm's lr": (GOOD.replace("wrs]", "\n  {wrs: {lr: 0}}]"), "wrs.lr: 0 is no learning rate", 5),
    "arm's lr twice": (GOOD.replace("wrs]", "wrs,\n  {wrs: {lr: 0.1}}]"), "the arm wrs is listed twice", 5),
    "arm's lr and several": (
        GOOD.replace("wrs]", "\n  {wrs: {lr: 0.1}}]") + "learning_rates: [recipe, 0.1]\n",
        "wrs has an lr of its own",
        5,
    ),
    "baseline's lr": (GOOD.replace("baseline: wd", "baseline: {wd: {lr: 0.1}}"), "no arm wd has lr=0.1", 6),
    "no list": (GOOD + "pretraining: none\n", "pretraining: write a list, [none]", 7),
    "no list of mappings": (GOOD + "pretraining: {recipe: a}\n", "pretraining: write a list", 7),
    "split": (GOOD + "split: val\n", "split: Input should be 'tune' or 'test'", 7),
    "unknown scope": (
        GOOD.replace("first,", '"mmpose::a.py",'),
        "no package 'mmpose' is installed",
        3,
    ),
    "unknown installed": (GOOD.replace("first,", '"mmdet::no.py",'), "mmdet carries no 'no.py'", 3),
    "unknown arm": (GOOD.replace("wrs]", "wrss]"), "regularizer 'wrss' is not known; write one of", 4),
    "arm twice": (GOOD.replace("wrs]", "wd]"), "the arm wd is listed twice", 4),
    "arm a number": (GOOD.replace("wrs]", "3]"), "3 is not the name of a regularizer", 4),
    "arms a name": (GOOD.replace("[none, wd, wrs]", "wd"), "regularizers: write a list", 4),
    "options a number": (GOOD.replace("wrs]", "{wd: 3}]"), "write the options of wd as", 4),
    "no value": (GOOD.replace("wrs]", "{wrs: {interval: []}}]"), "wrs.interval lists no value", 4),
    "unknown option": (GOOD.replace("wrs]", "{wrs: {intervall: 2}}]"), "intervall", 4),
    "wrong value": (GOOD.replace("wrs]", "{wrs: {interval: often}}]"), "often", 4),
    "wrong value below": (
        GOOD.replace("[none, wd, wrs]", "\n  - wd\n  - wrs:\n      interval: 2\n      granularity: all"),
        "all",
        8,
    ),
    "unknown optimizer": (
        GOOD + "optimizers: [adamm]\n",
        "'adamm' is not known; did you mean Adam",
        7,
    ),
    "optimizer option": (
        GOOD + "optimizers:\n  - recipe\n  - AdamW:\n      momentum: 0.9\n",
        "AdamW has no option 'momentum'; its options are lr, betas",
        10,
    ),
    "optimizer twice": (GOOD + "optimizers: [SGD, {SGD: {lr: 1}}]\n", "SGD is listed twice", 7),
    "optimizer rate": (GOOD + "optimizers: [{SGD: {lr: -1}}]\n", "SGD.lr: -1 is no learning rate", 7),
    "rate zero": (GOOD + "learning_rates:\n- recipe\n- 0\n", "0 is no learning rate", 9),
    "rate infinite": (GOOD + "learning_rates: [.inf]\n", "inf is no learning rate", 7),
    "rate true": (GOOD + "learning_rates: [true]\n", "True is no learning rate", 7),
    "rate twice": (GOOD + "learning_rates: [0.1, 1e-1]\n", "0.1 is listed twice", 7),
    "rates a number": (GOOD + "learning_rates: 0.1\n", "learning_rates: write a list", 7),
    "no rates": (GOOD + "learning_rates: []\n", "learning_rates: lists no value", 7),
    "rates for no one": (
        GOOD + "optimizers: [{SGD: {lr: 1}}]\nlearning_rates: [0.1]\n",
        "no optimizer takes the learning_rates",
        8,
    ),
    "link": (
        GOOD + "links:\n  param_scheduler.1.eta_min: lr\n",
        "write the link of param_scheduler.1",
        8,
    ),
    "link a number": (GOOD + "links: {a: 1}\n", "links.a: ", 7),
    "option seed": (
        GOOD + "cfg_options:\n  model.depth: 3\n  randomness.seed: 1\n",
        "randomness.seed belongs to the benchmark: use seeds",
        9,
    ),
    "option not finite": (GOOD + "cfg_options: {a: .nan}\n", "a must be made of finite numbers", 7),
    "options a list": (GOOD + "cfg_options: [a=1]\n", "cfg_options: ", 7),
    "no baseline": (GOOD.replace("baseline: wd", ""), "baseline is missing", None),
    "baseline several": (
        GOOD.replace("baseline: wd", "baseline: {wd: {weight_decay: [0.1, 0.2]}}"),
        "baseline names one arm",
        6,
    ),
    "tuning a number": (GOOD + "tuning: 3\n", "tuning: ", 7),
    "tuning without trials": (
        GOOD + "tuning:\n  search: {lr: [0.1, 1]}\n  seeds: [9]\n",
        "tuning.trials is missing",
        7,
    ),
    "trials misspelt": (GOOD + TUNING.replace("trials", "trails"), "'trails'; did you mean trials?", 9),
    "no trials": (GOOD + TUNING.replace("trials: 4", "trials: 0"), "tuning.trials: ", 9),
    "unknown key of tuning": (
        GOOD + TUNING + "  rungs: 3\n",
        "unknown key 'rungs'; tuning has trials, search, optimizers, seeds",
        15,
    ),
    "unknown key of halving": (
        GOOD + TUNING + "  halving:\n    rungs: [0.5]\n    keep: 0.5\n    kept: 1\n",
        "unknown key 'kept'; did you mean keep?",
        18,
    ),
    "rung beyond the end": (
        GOOD + TUNING + "  halving: {rungs: [0.5, 1.5], keep: 0.5}\n",
        "1.5 is no part of a training",
        15,
    ),
    "rungs out of order": (
        GOOD + TUNING + "  halving: {rungs: [0.5, 0.25], keep: 0.5}\n",
        "rungs go up",
        15,
    ),
    "keep all": (GOOD + TUNING + "  halving: {rungs: [0.5], keep: 1.0}\n", "tuning.halving.keep: ", 15),
    "search a list": (
        GOOD + "tuning: {trials: 4, seeds: [9], search: [lr]}\n",
        "tuning.search: write {lr",
        7,
    ),
    "search a number": (GOOD + TUNING.replace("[0.02, 1.0]", "0.1"), "write [low, high]", 11),
    "search upside down": (
        GOOD + TUNING.replace("[0.02, 1.0]", "[1.0, 0.02]"),
        "from a number to a larger one, not from 1 to 0.02",
        11,
    ),
    "search of no arm": (
        GOOD + TUNING.replace("wrs: {}", "wrss: {}"),
        "'wrss' is not among the regularizers; did you mean wrs?",
        13,
    ),
    "search of no option": (
        GOOD + TUNING.replace("wrs: {}", "wrs:\n      targett: [1, 2]"),
        "'wrs' has no option 'targett'",
        14,
    ),
    "search of an impossible value": (
        GOOD + TUNING.replace("wrs: {}", "wrs:\n      target: {low: -1, high: 2, scale: linear}"),
        "target",
        14,
    ),
    "search of a whole number": (
        GOOD + TUNING.replace("wrs: {}", "wrs: {interval: [1, 10]}"),
        "interval",
        13,
    ),
    "search of what is listed": (
        GOOD.replace("wrs]", "{wrs: {target: 2}}]") + TUNING.replace("wrs: {}", "wrs: {target: [1, 2]}"),
        "target of wrs is looked for, and regularizers says 2; remove one of both",
        13,
    ),
    "search of an lr that is fixed": (
        GOOD.replace("wrs]", "{wrs: {lr: 2}}]") + TUNING.replace("wrs: {}", "wrs: {lr: [1, 2]}"),
        "lr of wrs is looked for, and regularizers says 2; remove one of both",
        13,
    ),
    "search of nothing": (
        GOOD + "tuning: {trials: 4, seeds: [9], search: {wd: {}}}\n",
        "there is nothing to look for",
        7,
    ),
    "search of too much": (
        GOOD + TUNING.replace("wrs: {}", f"wrs: {{{', '.join(f'o{n}: [1, 2]' for n in range(8))}}}"),
        "wrs has 8 settings of its own; 7 are the most",
        13,
    ),
    "trials that would be the same": (
        GOOD
        + "tuning:\n  trials: 4\n  seeds: [9]\n  search:\n    wrs: {granularity: {choices: [filter, layer]}}",
        "of wrs would be the same; make fewer, or give them more values",
        11,
    ),
    "trials with the seed of a final": (
        GOOD + TUNING.replace("[100]", "[100, 1]"),
        "1 is also a seed of the final runs",
        14,
    ),
    "rates beside the search": (
        GOOD + TUNING + "learning_rates: [0.1]\n",
        "tuning looks for lr, so nothing else may say it",
        15,
    ),
    "rates of a recipe beside the search": (
        GOOD.replace("second.py", "{config: second, learning_rates: [0.1]}") + TUNING,
        "tuning looks for lr, so nothing else may say it",
        3,
    ),
    "rates of an optimizer beside the search": (
        GOOD + TUNING + "optimizers: [recipe, {SGD: {lr: 1}}]\n",
        "tuning looks for lr, so nothing else may say it",
        15,
    ),
    "baseline no arm": (
        GOOD.replace("baseline: wd", "baseline: l1"),
        "baseline l1 is not among the arms; write one of none, wd, wrs",
        6,
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_each_mistake_is_one_line_that_names_the_file_and_its_line(case, write_plan):
    text, expected, line = MISTAKES[case]
    with pytest.raises(PlanError) as caught:
        expand(load_plan(write_plan(text)))
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message
    assert "plan.yaml" in message
    found = re.search(r"plan\.yaml, line (\d+): ", message)
    assert (int(found[1]) if found else None) == line, message


def test_a_missing_plan_is_named(tmp_path):
    with pytest.raises(PlanError, match=r"nowhere\.yaml: cannot be read"):
        load_plan(tmp_path / "nowhere.yaml")
