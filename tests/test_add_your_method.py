"""docs/add-your-method.md: its example is at most 30 lines, and works from a package of its own."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
import yaml
from benches import Bench
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import OPTIMIZERS
from toy_training import Network, decay_by_name, filter_norms, step

from wrs_mm.bench.plan.expansion import expand
from wrs_mm.bench.plan.plan import load_plan
from wrs_mm.cli.main import main
from wrs_mm.engine import STEP_RULES
from wrs_mm.errors import OptionError, PlanError
from wrs_mm.regularizers import apply_regularizer
from wrs_mm.regularizers.overlay import overlay

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "add-your-method.md"
ARM = "mypackage.arms.max_norm"


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    return found


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the example's package lies in."""
    folder = tmp_path / "elsewhere"
    (folder / "mypackage").mkdir(parents=True)
    (folder / "mypackage" / "__init__.py").touch()
    (folder / "mypackage" / "arms.py").write_text(block("python"))
    monkeypatch.syspath_prepend(folder)
    for name in ("mypackage", "mypackage.arms", "mypackage.others"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    # Each test imports it anew, and a name is registered once.
    monkeypatch.delitem(STEP_RULES.module_dict, "MaxNorm", raising=False)
    return folder


def recipe() -> Config:
    return Config({"optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 1e-2}}, "a": 1})


def test_the_example_has_at_most_30_lines() -> None:
    assert len(block("python").splitlines()) <= 30


def test_it_is_an_arm_whose_config_finds_it(package: Path) -> None:
    arm = apply_regularizer(recipe(), ARM, largest=0.58)
    assert arm.custom_imports["imports"] == ["wrs_mm", "mypackage.arms"] and arm.a == 1
    torch.manual_seed(0)
    model = Network()
    assert float(filter_norms(model).min()) < 0.55 and float(filter_norms(model).max()) > 0.58
    wrapper = build_optim_wrapper(model, arm.optim_wrapper)
    for _ in range(3):
        step(model, wrapper)
        norms = filter_norms(model)
        assert float(norms.max()) <= 0.58 + 1e-6 and float(norms.min()) < 0.56
    assert sorted(set(decay_by_name(model, wrapper).values())) == [0.0, 1e-2]
    text = overlay(recipe(), ARM, "recipe.py")
    assert "mypackage.arms" in text and "dict(largest=1.0, type='MaxNorm')" in text


def test_the_documents_optimizer_trains_as_an_arm(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (package / "mypackage" / "others.py").write_text(block("py"))
    monkeypatch.delitem(OPTIMIZERS.module_dict, "SignSGD", raising=False)
    arm = apply_regularizer(recipe(), "mypackage.others.sign_sgd")
    assert arm.custom_imports["imports"] == ["wrs_mm", "mypackage.others"]
    assert arm.optim_wrapper.optimizer == {"type": "SignSGD", "lr": 0.1, "weight_decay": 1e-2}
    model = Network()
    wrapper = build_optim_wrapper(model, arm.optim_wrapper)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    step(model, wrapper)
    for name, parameter in model.named_parameters():
        moved = (parameter.detach() - before[name] * (1 - 0.1 * 1e-2)).abs()
        assert bool(((moved - 0.1).abs() < 1e-6).logical_or(moved < 1e-6).all()), name


def test_its_own_options_are_checked(package: Path) -> None:
    with pytest.raises(OptionError, match="largest must be a number > 0, not 0"):
        apply_regularizer(recipe(), ARM, largest=0)
    with pytest.raises(OptionError, match="has no option 'larges': its options are largest"):
        apply_regularizer(recipe(), ARM, larges=1)


OTHERS = """
from wrs_mm.errors import OptionError

def only_adamw(optim_wrapper):
    if optim_wrapper["optimizer"]["type"] != "AdamW":
        raise OptionError("only for AdamW")
    return optim_wrapper

def required(optim_wrapper, k, j=1, name=""):
    return {**optim_wrapper, "optimizer": {**optim_wrapper["optimizer"], "momentum": k + j}}

def momentum(optim_wrapper):
    return {**optim_wrapper, "clip_grad": {"max_norm": optim_wrapper["optimizer"]["momentum"]}}

def forgotten(optim_wrapper):
    optim_wrapper["optimizer"]["lr"] = 1

def listing(cfg):
    return ["model"]

class Arm:
    def __init__(self, optim_wrapper): ...
"""


def test_the_documents_function_of_a_whole_config_works(package: Path) -> None:
    (line,) = re.findall(r"`(def smaller.*?)`\.", DOCUMENT.read_text(encoding="utf-8"))
    (package / "mypackage" / "others.py").write_text(line)
    cfg = recipe()
    cfg.train_dataloader = {"batch_size": 4, "num_workers": 2}
    arm = apply_regularizer(cfg, "mypackage.others.smaller")
    assert arm.train_dataloader == {"batch_size": 1, "num_workers": 2}


def test_it_is_tried_on_real_recipes_only(package: Path) -> None:
    """One made for recipes of a kind, or that needs an option, is one all the same."""
    (package / "mypackage" / "others.py").write_text(OTHERS)
    adamw, sgd = recipe(), recipe()
    adamw.optim_wrapper.optimizer.type, sgd.optim_wrapper.optimizer.momentum = "AdamW", 0.9
    assert apply_regularizer(adamw, "mypackage.others.only_adamw").optim_wrapper.optimizer.type == "AdamW"
    assert apply_regularizer(sgd, "mypackage.others.momentum").optim_wrapper.clip_grad.max_norm == 0.9
    arm = apply_regularizer(sgd, "mypackage.others.required", k=1, j=2, name="its own")
    assert arm.optim_wrapper.optimizer.momentum == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("only_adamw", "^only for AdamW$"),
        ("required", r"'mypackage.others.required' fails: TypeError: .*'k'"),
        ("momentum", "'mypackage.others.momentum' fails: KeyError: 'momentum'"),
        ("forgotten", "'mypackage.others.forgotten' must return the arm's optim_wrapper.* it did None"),
        ("listing", r"must return the keys of the config that change, .* it did \['model'\]"),
        ("Arm", "'mypackage.others.Arm' is no function"),
    ],
)
def test_what_goes_wrong_in_it_is_one_line(package: Path, name: str, message: str) -> None:
    (package / "mypackage" / "others.py").write_text(OTHERS)
    with pytest.raises(OptionError, match=message) as error:
        apply_regularizer(recipe(), f"mypackage.others.{name}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", ["builtins.int", "builtins.type", "json.dumps"])
def test_what_is_no_regularizer_is_refused(path: str) -> None:
    with pytest.raises(OptionError, match=r"is no function|first parameter of the regularizer"):
        apply_regularizer(recipe(), path)


def test_options_named_as_our_own_arguments_are_unknown_and_no_traceback() -> None:
    for option in ("name", "cfg"):
        with pytest.raises(OptionError, match=f"has no option '{option}'"):
            apply_regularizer(recipe(), "wrs", **{option: 1})


def test_a_recipes_key_may_give_it_options(package: Path) -> None:
    cfg = recipe()
    cfg.regularizers = {ARM: {"largest": 0.7}}
    assert apply_regularizer(cfg, ARM).optim_wrapper.rule == {"type": "MaxNorm", "largest": 0.7}


def test_the_documents_plan_lists_its_arms_under_a_short_name(package: Path, tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(block("yaml"))
    specs = expand(load_plan(file))
    assert {spec.arm_label for spec in specs} == {"wd", "max_norm (largest=0.5)", "max_norm (largest=1.0)"}
    assert {spec.regularizer for spec in specs} == {"wd", ARM}
    first = next(spec for spec in specs if spec.regularizer == ARM)
    assert first.id.endswith("__max_norm-largest=0.5__seed0") and "mypackage" not in first.id


def test_two_functions_of_one_name_cannot_be_told_apart_in_tables(package: Path, tmp_path: Path) -> None:
    (package / "mypackage" / "others.py").write_text(block("python").replace("MaxNorm", "Other"))
    file = tmp_path / "plan.yaml"
    file.write_text(block("yaml").replace("  - wd\n", "  - wd\n  - mypackage.others.max_norm\n"))
    with pytest.raises(
        PlanError, match=r"plan\.yaml, line \d+: .*two regularizers would be called max_norm in tables"
    ):
        load_plan(file)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nopackage.arms.max_norm", "there is no module nopackage: install its package, or put"),
        ("mypackage.amrs.max_norm", r"there is no module mypackage\.amrs: "),
        ("mypackage.arms.max_nrom", r"mypackage\.arms has no 'max_nrom'; did you mean max_norm\?"),
        ("mypackage.arms.ARM", r"mypackage\.arms has no 'ARM'"),
        ("mypackage.broken.arm", r"importing mypackage\.broken fails: SyntaxError: "),
        ("mypackage.needy.arm", r"mypackage\.needy needs no_such_library: install it"),
        ("mypackage.plain.number", "is no function, but 3"),
        (
            "mypackage.plain.wrong",
            "first parameter of the regularizer 'mypackage.plain.wrong' must be optim_",
        ),
        (
            "mypackage.plain.empty",
            "first parameter of the regularizer 'mypackage.plain.empty' must be optim_",
        ),
    ],
)
def test_a_path_that_leads_nowhere_is_one_line_in_the_plan(
    package: Path, tmp_path: Path, name: str, message: str
) -> None:
    (package / "mypackage" / "broken.py").write_text("def arm(:")
    (package / "mypackage" / "needy.py").write_text("import no_such_library")
    (package / "mypackage" / "plain.py").write_text(
        "number = 3\ndef wrong(wrapper): return wrapper\ndef empty(): return {}\n"
    )
    with pytest.raises(OptionError, match=message) as error:
        apply_regularizer(recipe(), name)
    assert "\n" not in str(error.value)
    file = tmp_path / "plan.yaml"
    file.write_text(block("yaml").replace(ARM, name).replace(": {largest: [0.5, 1.0]}", ""))
    with pytest.raises(PlanError, match=rf"plan\.yaml, line \d+: .*{message}") as error:
        load_plan(file)
    assert "\n" not in str(error.value)


def test_the_command_line_takes_it_and_says_what_is_wrong(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["config", "mini/fcn_r18-narrow_mini-cityscapes", "--arm"]
    assert main([*arguments, ARM]) == 0
    assert "type='MaxNorm'" in capsys.readouterr().out
    assert main([*arguments, "mypackage.arms.nothing"]) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0 and "mypackage.arms has no 'nothing'" in said


@pytest.mark.slow
def test_it_stands_in_a_report_beside_all_others(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(package))
    bench = Bench(tmp_path)
    bench.recipe("small", iterations=6)
    bench.plan("small", regularizers=f"[wd, {{{ARM}: {{largest: 0.25}}}}]")
    bench.run("--jobs", "1")
    frame = bench.results()
    assert set(frame["status"]) == {"done"} and set(frame["regularizer"]) == {"wd", ARM}
    assert "\n| max_norm (largest=0.25) | " in (tmp_path / "work" / "table.md").read_text()
    run = bench.run_folder("small__max_norm-largest=0.25__seed0")
    checkpoint = torch.load(run / "iter_6.pth", weights_only=False)
    weight = checkpoint["state_dict"]["backbone.layer1.0.conv1.weight"]
    assert float(weight.flatten(1).norm(dim=1).max()) <= 0.25 + 1e-6
    assert yaml.safe_load((tmp_path / "plan.yaml").read_text())["baseline"] == "wd"


@pytest.mark.slow
def test_a_run_of_scale_lr_that_grows_without_bound_ends_as_diverged(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.recipe("small", iterations=60, more="optim_wrapper['optimizer'].update(lr=30.0)\n")
    bench.plan("small", regularizers="[wd, scale_lr]")
    bench.run()
    result = bench.result("small__scale_lr__seed0")
    assert result.status.value == "diverged", result
    for file in bench.run_folder("small__scale_lr__seed0").glob("*.pth"):
        state = torch.load(file, weights_only=False)["state_dict"]
        assert all(bool(value.isfinite().all()) for value in state.values())
