"""Where the backbones of a plan's runs come from: the entries, and the runs that they make."""

from __future__ import annotations

import pytest
from small_plans import SMALL, TUNING
from small_recipe import write_recipe

from wrs_mm.bench.plan.backbones import weights_of
from wrs_mm.bench.plan.budget import pretraining_budgets
from wrs_mm.bench.plan.comparison import Resolver, resolve_pretrainings
from wrs_mm.bench.plan.display import show_plan
from wrs_mm.bench.plan.expansion import PlannedRun, expand, planned_arms
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.errors import PlanError

OTHER = "{recipe: small, regularizers: [wd, wrs]}"
"""A pretraining; its backbone is that of the recipe."""


@pytest.fixture
def load(write_plan, tmp_path):
    """Reads the small plan with some entries."""
    write_recipe(tmp_path)

    def _load(*entries, more=""):
        return load_plan(write_plan(SMALL + more + f"pretraining: [{', '.join(entries)}]\n"))

    return _load


def test_each_recipe_is_trained_from_each_start_with_each_arm(load):
    specs = expand(load("none", "torchvision://resnet18", OTHER))
    assert len(specs) == 4 * 3 * 2 and len({spec.id for spec in specs}) == len(specs)
    assert list(dict.fromkeys(spec.recipe for spec in specs)) == [
        f"small from {start}" for start in ("scratch", "resnet18", "wd", "wrs")
    ]
    assert {spec.config for spec in specs} == {"small"}
    assert specs[-1].id == "small-from-wrs__wrs__seed1"
    assert {spec.start.checkpoint for spec in specs} == {None, "torchvision://resnet18"}


def test_a_run_starts_from_the_pretraining_of_its_own_seed_or_of_the_one_that_is_said(load):
    def seeds(entry, more=""):
        plan = load(entry, more=more)
        runs = {(spec.seed, spec.start.pretraining) for spec in expand(plan)}
        return runs, [run.spec.seed for run in resolve_pretrainings(plan, Resolver(plan))]

    wd = "{recipe: small, regularizers: [wd]"
    assert seeds(f"{wd}}}") == ({(0, 0), (1, 1)}, [0, 1])
    assert seeds(f"{wd}, seeds: [7]}}") == ({(0, 7), (1, 7)}, [7])
    # Nothing is pretrained for trials.
    assert seeds(f"{wd}}}", TUNING) == ({(100, 0)}, [0, 1])
    runs, made = seeds(f"{wd}, seeds: [7, 8]}}")
    assert runs == {(seed, own) for seed in (0, 1) for own in (7, 8)} and made == [7, 8]


def test_pretrainings_of_several_seeds_are_one_row_and_runs_of_their_own(load):
    specs = expand(load("{recipe: small, regularizers: [wd], seeds: [7, 8]}"))
    assert {spec.recipe for spec in specs} == {"small from wd seed 7", "small from wd seed 8"}
    assert {spec.start.label for spec in specs} == {"wd"}


def test_a_pretraining_is_found_by_what_it_trains(load):
    def ids(plan):
        return [run.spec.id for run in resolve_pretrainings(plan, Resolver(plan))]

    one, two = ids(load(OTHER)), ids(load("none", OTHER))
    assert one == two and len(set(one)) == 4
    longer = (
        "{recipe: {config: small, cfg_options: {train_dataloader.batch_size: 7}}, regularizers: [wd, wrs]}"
    )
    assert not set(one) & set(ids(load(longer)))
    # What the plan says of its own recipes is not said of it.
    assert ids(load(OTHER, more="cfg_options: {train_dataloader.batch_size: 5}\n")) == one


def test_a_run_names_the_file_that_its_pretraining_leaves(load):
    plan = load(OTHER)
    resolver = Resolver(plan)
    for arm in planned_arms(plan):
        run = PlannedRun(arm, arm.spec(1))
        pretraining = resolver.pretraining(run)
        assert pretraining is not None and pretraining.spec.seed == 1
        file = f"work_dirs/pretrained/{pretraining.spec.pretraining}/backbone.pt"
        config = resolver.config(run)
        assert config.model.backbone.init_cfg == {"type": "Pretrained", "checkpoint": file}
        assert resolver.spec(run).start.checkpoint == file
        assert f"-from-{run.spec.start.label}__" in run.spec.id


def test_specs_without_a_start_are_written_as_they_were():
    spec = RunSpec(recipe="r", regularizer="wd", options={}, optimizer="recipe", seed=0, baseline=True)
    assert not {"start", "pretraining"} & set(spec.model_dump())
    assert RunSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("5", "write none, a checkpoint, or a mapping with recipe and regularizers, not 5"),
        ("{recipe: small}", "say which regularizers it is pretrained with"),
        ("{regularizers: [wd]}", "write recipe, of a pretraining, or checkpoint"),
        ("{checkpoint: a.pth, seeds: [0]}", "seeds is for a pretraining with a recipe, not for a checkpoint"),
        ("{recipe: small, regularizers: [wd], name: mine}", "called by their own names; remove name"),
        ("{recipe: smal, regularizers: [wd]}", "recipe 'smal' is neither"),
        ("{recipe: small, regularizers: [wdd]}", "regularizer 'wdd' is not known"),
        ("{recipe: small, regularizers: [wd], seeds: [1, 1]}", "1 is listed twice"),
        ("a/x.pth, b/x.pth", "two starts would be called x; keep one, or give a checkpoint a name"),
        ("{recipe: small, regularizers: [wd]}, a/wd.pth", "two starts would be called wd; keep one"),
        ("{checkpoint: null}", "checkpoint says nothing; for random weights write none"),
        ("{recipe: [], regularizers: [wd]}", "recipe"),
        ("{recipe: small, regularizers: []}", "regularizers"),
        ("{recipe: {config: small, learning_rates: [0.1, 0.2]}, regularizers: [wd]}", "one learning rate"),
        ("{recipe: small, regularizers: [wd], sseeds: [1]}", "unknown key 'sseeds'; did you mean seeds?"),
    ],
)
def test_a_mistake_is_one_line_that_names_its_line(load, entry, message):
    with pytest.raises(PlanError) as caught:
        load(entry)
    assert message in str(caught.value) and "line 6" in str(caught.value) and "\n" not in str(caught.value)


def test_a_mistake_in_an_entry_of_several_lines_is_found_on_its_own(write_plan, tmp_path):
    write_recipe(tmp_path)
    entry = "  - none\n  - recipe: small\n    regularizers:\n      - wd\n      - wrs\n"
    good = f"{SMALL}pretraining:\n{entry}"
    load_plan(write_plan(good))
    for right, wrong, line in [("recipe: small\n", "recipe: smal\n", 8), ("- wrs\n", "- wrss\n", 11)]:
        with pytest.raises(PlanError, match=f"line {line}"):
            load_plan(write_plan(good.replace(right, wrong)))


def test_an_arm_is_pretrained_bare_and_with_options_whatever_the_baseline(load):
    plan = load("{recipe: small, regularizers: [wd, {wd: {weight_decay: 0.001}}]}")
    arms = {run.spec.arm_label for run in resolve_pretrainings(plan, Resolver(plan))}
    assert arms == {"wd", "wd (weight_decay=0.001)"}


@pytest.mark.parametrize("arm", ["ws", "ic"])
def test_an_arm_that_changes_what_the_backbone_computes_hands_nothing_on(load, arm):
    plan = load(f"{{recipe: small, regularizers: [{arm}]}}")
    with pytest.raises(PlanError, match=f"the arm {arm} changes what a backbone computes") as caught:
        resolve_pretrainings(plan, Resolver(plan))
    assert "line 6" in str(caught.value)


def test_the_plans_own_options_make_another_backbone_of_the_same_recipe(load):
    plan = load(
        "{recipe: small, regularizers: [wd]}", more="cfg_options: {model.backbone.base_channels: 8}\n"
    )
    with pytest.raises(PlanError, match="no pretraining has the backbone of small"):
        resolve_pretrainings(plan, Resolver(plan))


def test_a_pretraining_of_another_backbone_is_refused_before_anything_runs(load, tmp_path):
    text = (tmp_path / "small.py").read_text()
    (tmp_path / "wide.py").write_text(text + "model['backbone']['base_channels'] = 8\n")
    plan = load("{recipe: wide, regularizers: [wd]}")
    with pytest.raises(
        PlanError, match="no pretraining has the backbone of small: wide differs in"
    ) as caught:
        resolve_pretrainings(plan, Resolver(plan))
    assert "line 6" in str(caught.value)
    both = load("{recipe: [wide, small], regularizers: [wd]}")
    assert {run.spec.recipe for run in resolve_pretrainings(both, Resolver(both))} == {"small"}


def test_a_plan_says_how_long_pretrainings_train_and_leaves_out_those_that_are_made(
    load, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    plan = load(OTHER)
    with (tmp_path / "small.py").open("a") as recipe:
        recipe.write("\ntrain_cfg = dict(type='IterBasedTrainLoop', max_iters=7)\n")
    show_plan(tmp_path / "plan.yaml")
    said = "4 pretrainings, 4 still to train for 7 iterations each, in work_dirs/pretrained"
    assert said in capsys.readouterr().out
    pretrainings = [run.spec for run in resolve_pretrainings(plan, Resolver(plan))]
    for made, said in (3, "1 still to train for 7 iterations each"), (4, "all of them trained"):
        for spec in pretrainings[:made]:
            weights_of(spec).parent.mkdir(parents=True, exist_ok=True)
            weights_of(spec).touch()
        show_plan(tmp_path / "plan.yaml")
        assert f"4 pretrainings, {said}, in work_dirs/pretrained" in capsys.readouterr().out
        assert sum(budget.finals for budget in pretraining_budgets(plan, Resolver(plan))) == 4 - made
