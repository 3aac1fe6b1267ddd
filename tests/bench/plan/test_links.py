"""Links: a config key that follows another one."""

from __future__ import annotations

import pytest
from mmengine.config import Config
from small_recipe import write_recipe

from wrs_mm.bench.plan.links import LR, Link
from wrs_mm.errors import ConfigError, OptionError

ETA_MIN = "param_scheduler.1.eta_min"


@pytest.fixture
def config(tmp_path) -> Config:
    return Config.fromfile(write_recipe(tmp_path))


def test_a_number_is_the_factor():
    assert Link.parse(ETA_MIN, "0.05 * lr") == Link(ETA_MIN, LR, 0.05)
    assert Link.parse(ETA_MIN, "1e-2*val_dataloader.batch_size").source == "val_dataloader.batch_size"


@pytest.mark.parametrize("text", ["lr", "0.1 lr", "twice * lr", "recipe", "", "0.1 * lr * 2"])
def test_another_form_is_refused_with_the_right_one(text):
    with pytest.raises(OptionError, match=r"0\.01 \* lr"):
        Link.parse(ETA_MIN, text)


def test_recipe_is_the_quotient_before_the_leading_key_moves(config):
    link = Link.parse(ETA_MIN, "recipe * lr").measured(config)
    assert link.factor == pytest.approx(0.01)
    config.optim_wrapper.optimizer.lr = 0.3
    link.apply(config)
    assert config.param_scheduler[1].eta_min == 0.003


def test_a_link_without_its_keys_is_refused(config):
    with pytest.raises(ConfigError, match="param_scheduler has no '4'"):
        Link.parse("param_scheduler.4.eta_min", "0.1 * lr").apply(config)
    with pytest.raises(ConfigError, match="has no 'eta_max'; did you mean eta_min"):
        Link.parse("param_scheduler.1.eta_max", "recipe * lr").measured(config)
    with pytest.raises(ConfigError, match="not a number"):
        Link.parse(ETA_MIN, "0.1 * default_scope").apply(config)
