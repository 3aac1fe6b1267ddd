"""The hook in real Runners: it measures, changes nothing, and goes on after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.runner import Runner
from toy_training import INVARIANT, Network, PlainNetwork, runner, wrapper_config

from wrs_mm.engine.hooks import WeightDynamicsHook
from wrs_mm.engine.hooks.dynamics_file import read
from wrs_mm.engine.hooks.weight_dynamics_hook import by_stage, stage_of
from wrs_mm.errors import ModelError, OptionError
from wrs_mm.layers.weight_standardization import standardize
from wrs_mm.rescaling.dynamics import QUANTITIES

HOOK = {"type": "WeightDynamicsHook", "interval": 2}
PLAIN = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9}}


def trained(folder: Path, *hooks: dict[str, Any], plain: bool = False) -> Runner:
    made = runner(folder, by_epoch=False, name=folder.name, custom_hooks=list(hooks))
    if plain:
        made.optim_wrapper = PLAIN
    made.train()
    return made


@pytest.mark.parametrize("plain", [True, False])
def test_it_measures_with_a_regularizer_and_with_none_and_changes_nothing(
    tmp_path: Path, plain: bool
) -> None:
    without = trained(tmp_path / "without", plain=plain)
    made = trained(tmp_path / "with", HOOK, plain=plain)
    for (name, expected), found in zip(
        without.model.named_parameters(), made.model.parameters(), strict=True
    ):
        assert torch.equal(expected, found), name
    found = read(tmp_path / "with")
    assert found is not None and tuple(found.contents.weights) == INVARIANT
    assert found.contents.stages == ["stem", "block"] and found.contents.sgd
    # Of weight decay alone there is a law; the targets of a rescale are another matter.
    assert found.contents.law == ("sgd" if plain else "")
    # The first forward is what tells the weights.
    assert found.iterations.tolist() == list(range(2, 17, 2))
    by_name = {name: found.of(name) for name in found.contents.quantities}
    assert (by_name["turn"] > 0).all() and (by_name["cosine"] < 1e-3).all() and (by_name["zero"] == 0).all()
    lr = 0.05
    assert by_name["effective_lr"][0] == pytest.approx(lr / by_name["norm"][0] ** 2, rel=0.3)


def test_standardized_weights_are_measured_too(tmp_path: Path) -> None:
    made = runner(tmp_path, by_epoch=False, name="standardized", custom_hooks=[HOOK])
    made.optim_wrapper = PLAIN
    assert standardize(made.model, {INVARIANT[0]}) == [INVARIANT[0]]
    made.train()
    found = read(tmp_path)
    assert found is not None and tuple(found.contents.weights) == INVARIANT
    assert (found.of("cosine")[:, 0] < 1e-2).all() and (found.of("turn") > 0).all()


def test_where_there_is_nothing_to_watch_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = runner(tmp_path, by_epoch=False, name="nothing", custom_hooks=[HOOK])
    made.model, made.optim_wrapper = PlainNetwork(), PLAIN
    said: list[str] = []
    monkeypatch.setattr(made.logger, "warning", lambda line, *_: said.append(line))
    made.train()
    (line,) = (line for line in said if "WeightDynamicsHook" in line)
    assert "watches nothing" in line and "frozen_bn='fold'" in line


def test_what_a_stage_shows_is_over_its_weights_and_leaves_out_what_has_no_live_filter() -> None:
    values = np.full((3, len(QUANTITIES)), np.nan)
    column = QUANTITIES.index
    for quantity, row in {
        "norm": [1.0, 3.0, np.nan],
        "norm_min": [0.5, 2.0, np.nan],
        "norm_max": [2.0, 4.0, np.nan],
        "effective_lr": [0.1, 0.001, np.nan],
        "cosine": [0.25, 0.5, np.nan],
        "zero": [0.0, 0.5, 1.0],
    }.items():
        values[:, column(quantity)] = row
    shown = by_stage(values, ["a", "a", "a"])["a"]
    expected = {"norm": 2, "norm_min": 0.5, "norm_max": 4, "effective_lr": 0.01, "cosine": 0.5, "zero": 0.5}
    assert {key: shown[column(key)] for key in expected} == pytest.approx(expected)
    assert np.isnan(shown[column("turn")])


def test_the_average_turn_is_over_four_updates_of_each_interval(tmp_path: Path) -> None:
    each, often = (
        trained(tmp_path / name, {**HOOK, "interval": interval})
        for name, interval in (("each", 1), ("often", 8))
    )
    assert each.iter == often.iter == 16
    every, found = read(tmp_path / "each"), read(tmp_path / "often")
    assert every is not None and found is not None and found.iterations.tolist() == [8, 16]
    looked_at = [np.isin(every.iterations, updates) for updates in ([2, 4, 6, 8], [10, 12, 14, 16])]
    assert [rows.sum() for rows in looked_at] == [4, 4]
    expected = np.stack([every.of("turn")[rows].mean(0) for rows in looked_at])
    assert found.of("turn_average") == pytest.approx(expected, rel=1e-6)


def test_the_visualizer_shows_each_stage(tmp_path: Path) -> None:
    made = runner(tmp_path, by_epoch=False, name="shown", custom_hooks=[HOOK])
    shown: list[tuple[dict[str, float], int]] = []
    made.visualizer.add_scalars = lambda scalars, step=0, **_: shown.append((scalars, step))  # type: ignore[method-assign]
    made.train()
    dynamics = [
        (scalars, step) for scalars, step in shown if any(key.startswith("dynamics/") for key in scalars)
    ]
    assert [step for _, step in dynamics] == list(range(2, 17, 2))
    least, root, most = (dynamics[-1][0][f"dynamics/block/{key}"] for key in ("norm_min", "norm", "norm_max"))
    assert 0 < least < root < most and dynamics[-1][0]["dynamics/stem/predicted_growth"] != 0
    assert {"dynamics/stem/norm", "dynamics/block/turn", "dynamics/block/effective_lr"} <= dynamics[0][
        0
    ].keys()


@pytest.mark.parametrize(("interval", "epochs"), [(2, 3), (1, 2), (6, 3)])
@pytest.mark.parametrize("plain", [True, False])
def test_a_resumed_run_measures_what_an_uninterrupted_one_does(
    tmp_path: Path, plain: bool, interval: int, epochs: int
) -> None:
    def made(folder: str, name: str, **load: Any) -> Runner:
        hook = {**HOOK, "interval": interval}
        built = runner(tmp_path / folder, by_epoch=True, name=name, custom_hooks=[hook], **load)
        if plain:
            built.optim_wrapper = PLAIN
        return built

    made("whole", f"whole{plain}{interval}").train()
    stopped = made("parts", f"stopped{plain}{interval}")
    stopped.train_loop._max_epochs = epochs
    stopped.train()
    # After three epochs the last checkpoint is lost: that one is made again. After two the first update of a
    # plain arm is one that nobody has measured, and the weights are looked for anew.
    load = {"load_from": str(tmp_path / "parts" / "epoch_2.pth"), "resume": True}
    made("parts", f"resumed{plain}{interval}", **load).train()
    whole, parts = read(tmp_path / "whole"), read(tmp_path / "parts")
    assert whole is not None and parts is not None
    assert parts.iterations.tolist() == whole.iterations.tolist()
    assert parts.values.tobytes() == whole.values.tobytes()


@pytest.mark.parametrize("rule", ["Hyperball", "ScaledRate"])
def test_a_step_rule_that_sets_weights_aside_is_measured_as_a_whole(tmp_path: Path, rule: str) -> None:
    made = runner(tmp_path, by_epoch=False, name=rule, custom_hooks=[HOOK])
    made.optim_wrapper = ConfigDict(wrapper_config("StepRuleOptimWrapper", rule={"type": rule}))
    before = dict(made.model.named_parameters())[INVARIANT[0]].detach().clone()
    made.train()
    found = read(tmp_path)
    assert found is not None and found.contents.law == ""
    assert len(found.iterations) == 8
    assert (found.of("zero") == 0).all() and (found.of("turn") > 0).all()
    start = float(before.flatten(1).norm(dim=1).square().mean().sqrt())
    if rule == "Hyperball":  # which keeps the norm of the whole weight
        assert found.of("norm")[:, 0] == pytest.approx(start, rel=1e-5)
        assert abs(found.of("norm")[:, 0] / start - 1).max() < 1e-5
    else:
        assert (np.diff(found.of("norm")[:, 0]) > 0).all()
        # The arm's point: updates are multiplied so that the effective learning rate stays η / R².
        schedule = 0.05 * (1 + np.cos(np.pi * (found.iterations - 1) / 16)) / 2
        assert found.of("effective_lr")[:, 0] == pytest.approx(schedule / start**2, rel=1e-5)


def test_weights_that_are_split_between_processes_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wrs_mm.rescaling.sharding.is_sharded", lambda parameter: True)
    with pytest.raises(ModelError, match=r"^WeightDynamicsHook needs whole weights on each process"):
        trained(tmp_path, HOOK, plain=True)


def test_between_two_reports_it_keeps_no_weights(tmp_path: Path) -> None:
    made = trained(tmp_path, {**HOOK, "interval": 5})
    (hook,) = (hook for hook in made.hooks if isinstance(hook, WeightDynamicsHook))
    assert hook._watch is None
    assert not any(made.optim_wrapper.optimizer._optimizer_step_pre_hooks.values())


@pytest.mark.parametrize("interval", [0, -1, 1.5])
def test_the_interval_is_checked(interval: Any) -> None:
    with pytest.raises(OptionError, match="interval must be a positive whole number"):
        WeightDynamicsHook(interval)


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("backbone.layer3.1.conv2.weight", "backbone.layer3"),
        ("backbone.conv1.weight", "backbone.stem"),
        ("backbone.stem.3.weight", "backbone.stem"),
        ("decode_head.bottleneck.conv.weight", "decode_head"),
        ("fc.weight", "fc"),
    ],
)
def test_a_weight_is_in_a_stage_of_the_network(name: str, stage: str) -> None:
    assert stage_of(name) == stage


def test_the_network_of_these_tests_is_in_two_stages() -> None:
    assert [stage_of(name) for name in INVARIANT] == ["stem", "block"]
    assert set(INVARIANT) <= {name for name, _ in Network().named_parameters()}
