"""What ``wrs-mm bench plan`` shows, on a terminal and elsewhere."""

from __future__ import annotations

import re

import pytest
from small_plans import SMALL, TUNING
from small_recipe import RECIPE, write_recipe

from wrs_mm.bench.plan.display import show_plan
from wrs_mm.cli.main import main

SWEEP = "learning_rates: [recipe, 0.1]\n"


def test_the_command_shows_runs_count_differences_and_warnings(write_small, capsys):
    assert show_plan(write_small(SWEEP)) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split("\t") == ["run", "recipe", "arm", "optimizer", "lr", "seed"]
    assert lines[1].split("\t") == ["small__none__seed0", "small", "none", "recipe", "recipe", "0"]
    assert "12 runs: 1 recipe × 3 arms × 2 optimizers or learning rates × 2 seeds" in lines
    assert any(
        line.startswith("optim_wrapper.type\tScaleInvariantOptimWrapper\tOptimWrapper") for line in lines
    )
    assert "What differs between the arms, in all scenarios" in lines
    assert err.startswith("warning: small: param_scheduler.1.eta_min stays")


def test_trials_final_runs_budgets_and_what_is_equal_are_shown(write_small, tmp_path, capsys):
    links = "links: {param_scheduler.1.eta_min: recipe * lr}\n"
    path = write_small(TUNING + links, SMALL.replace("[0, 1]", "[0, 1, 2]"))
    text = RECIPE + "train_cfg = dict(type='IterBasedTrainLoop', max_iters=600, val_interval=100)\n"
    write_recipe(tmp_path, "small", text)
    assert show_plan(path) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split("\t") == ["run", "recipe", "arm", "optimizer", "lr", "settings", "trial", "seed"]
    assert lines[2].split("\t") == [
        "small__wd__at-lr=0.0994-weight_decay=0.0719__trial0__seed100",
        *["small", "wd (baseline)", "recipe", "0.0994", "weight_decay=0.0719", "0", "100"],
    ]
    assert (
        "21 runs: first 12 runs that look for settings (3 tuned arms × 4 trials × 1 seed), then, at each "
        "arm's best ones, 9 final runs (1 recipe × 3 arms × 3 seeds)" in lines
    )
    head = lines.index("Where each arm is tuned, and what it costs, in small")
    assert [line.split("\t") for line in lines[head + 1 : head + 5]] == [
        ["arm", "lr", "weight_decay", "trial runs", "final runs", "each", "together"],
        ["none", "0.02 to 1, log", "—", "4", "3", "600 iterations", "4200 iterations"],
        [
            "wd (baseline)",
            "0.02 to 1, log",
            "1e-05 to 0.1, log",
            "4",
            "3",
            "600 iterations",
            "4200 iterations",
        ],
        ["wrs", "0.02 to 1, log", "—", "4", "3", "600 iterations", "4200 iterations"],
    ]
    assert any(line.startswith("The same for all arms: the number of trials") for line in lines)
    assert "What differs between the arms at their first trials, in small" in lines
    assert err == ""


def test_differences_are_headed_by_the_scenarios_they_hold_for(write_small, tmp_path, capsys):
    write_recipe(tmp_path, "other", RECIPE.replace("'OptimWrapper'", "'AmpOptimWrapper'"))
    show_plan(write_small(SWEEP, SMALL.replace("[small]", "[small, other]")))
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("What differs")]
    assert heads == [f"What differs between the arms, in {recipe}" for recipe in ("small", "other")]


def test_a_learning_rate_of_an_arm_is_a_difference_between_arms(write_small, capsys):
    show_plan(write_small(plan=SMALL.replace("wrs]", "{wrs: {lr: 0.05}}]")))
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert ["small__wrs__at-lr=0.05__seed0", "small", "wrs", "recipe", "0.05", "0"] in lines
    assert ["optim_wrapper.optimizer.lr", "0.01", "0.01", "0.05"] in lines


def test_a_mistake_is_one_line_on_stderr_and_exit_status_2(write_small, capsys):
    assert main(["bench", "plan", str(write_small())]) == 0
    capsys.readouterr()
    assert main(["bench", "plan", str(write_small("cfg_options:\n  train_dataloder.x: 1\n"))]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "plan.yaml, line 7: recipe 'small': train_dataloder.x: " in err and err.count("\n") == 1


def test_on_a_terminal_the_plan_is_a_table(write_small, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    assert show_plan(write_small()) == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert lines[0].split() == ["arm", "optimizer", "lr", "seed"]
    assert lines[1] == "small"
    assert lines[3].split() == ["wd", "(baseline)", "recipe", "recipe", "0"]
    assert "6 runs: 1 recipe × 3 arms × 2 seeds" in lines


@pytest.mark.parametrize("width", [80, 120])
def test_no_config_key_and_no_arm_is_broken_on_a_terminal(write_small, capsys, monkeypatch, width):
    plan = write_small()
    show_plan(plan)
    table = capsys.readouterr().out.partition("What differs")[2].splitlines()
    head, *rows = (line.split("\t") for line in table[1:])
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    show_plan(plan)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).partition("What differs")[2].splitlines()
    assert max(map(len, shown)) <= width
    for name in head[1:]:
        assert any(name in line for line in shown)
    for key, *values in rows:
        of_key = [index for index, line in enumerate(shown) if line.split()[:1] == [key]]
        # A line of the key's own has the values below it.
        near = [line for index in of_key for line in shown[index : index + (2 if shown[index] == key else 1)]]
        for value in values:
            assert any(value in line for line in near)
