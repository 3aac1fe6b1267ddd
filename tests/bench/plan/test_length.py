"""How long a config trains."""

from __future__ import annotations

from mmengine.config import Config

from wrs_mm.bench.plan.length import Length, training_length


def test_the_length_of_a_training_is_what_the_recipe_counts():
    assert training_length(Config({"train_cfg": {"max_iters": 1}})) == Length(1, "iteration")
    assert training_length(Config({"train_cfg": {"by_epoch": True, "max_epochs": 12}})) == Length(12, "epoch")
    assert training_length(Config({"train_cfg": {"type": "Own"}})) is None
    assert training_length(Config({})) is None
    assert (str(Length(1, "epoch")), str(Length(600, "iteration"))) == ("1 epoch", "600 iterations")
