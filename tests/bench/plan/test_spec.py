"""What one run is, and the name of its folder."""

from __future__ import annotations

from wrs_mm.bench.plan.spec import RunSpec


def test_a_spec_written_before_there_were_learning_rates_loads():
    old = (
        '{"recipe": "a", "regularizer": "wd", "options": {"weight_decay": 1e-05}, "optimizer": "recipe", '
        '"seed": 3, "baseline": true}'
    )
    spec = RunSpec.model_validate_json(old)
    assert spec.id == "a__wd-weight_decay=1e-05__seed3"
    assert (spec.learning_rate, spec.cfg_options, spec.links, spec.config) == (None, {}, {}, None)


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


def test_settings_trials_and_splits_have_folders_of_their_own_and_one_scenario():
    found = _spec(regularizer="wd", settings={"weight_decay": 3e-4, "lr": 0.05}, trial=3, split="test")
    assert found.id == "mini-pspnet__wd__at-lr=0.05-weight_decay=0.0003__trial3__seed0__test"
    others = [
        _spec(),
        _spec(settings={"lr": 0.05}),
        _spec(learning_rate=0.05),
        _spec(options={"lr": 0.05}),
        _spec(trial=0),
        _spec(split="test"),
    ]
    assert len({spec.id for spec in [found, *others]}) == 7
    assert {spec.scenario for spec in [found, _spec(settings={"lr": 0.05}), _spec(trial=1)]} == {
        _spec().scenario
    }
    assert found.arm_label == _spec().arm_label == "wd"
