"""Scale-invariant weights are found once, kept in checkpoints, and known before anything acts on them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from wrs_mm.errors import ModelError, OptionError
from wrs_mm.rescaling import ScaleInvariantWeights


def network(width: int = 4) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(),
        nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width),
        nn.Flatten(), nn.Linear(4 * width, 2),
    )  # fmt: skip


SELECTED = ["0.weight", "3.weight"]


def images() -> Tensor:
    return torch.randn(2, 3, 6, 6)


def watch(weights: ScaleInvariantWeights, model: nn.Module) -> None:
    with weights.observing():
        model(images()).square().mean()


def test_the_first_forward_finds_them_and_later_ones_are_not_watched() -> None:
    model = network()
    weights = ScaleInvariantWeights(model)
    assert not weights.found and weights.selected == [] and weights.selected_parameters == []
    watch(weights, model)
    observation = weights.observation
    assert weights.found and [v.name for v in weights.selected] == SELECTED
    assert [id(p) for p in weights.selected_parameters] == [id(model[0].weight), id(model[3].weight)]
    model.eval()  # which a watched forward would refuse
    watch(weights, model)
    assert weights.observation is observation


def test_a_watched_forward_is_one_in_training_mode() -> None:
    model = network().eval()
    with pytest.raises(ModelError, match=r"call model\.train\(\)"):
        watch(ScaleInvariantWeights(model), model)


def test_a_forward_that_fails_has_found_nothing() -> None:
    model = network()
    weights = ScaleInvariantWeights(model)
    with pytest.raises(RuntimeError), weights.observing():
        model(torch.randn(2, 5, 6, 6))
    assert not weights.found


def test_a_parallel_wrapper_is_looked_through() -> None:
    model = network()
    weights = ScaleInvariantWeights(nn.DataParallel(model))
    watch(weights, model)
    assert [v.name for v in weights.selected] == SELECTED


@pytest.mark.parametrize("options", [{"granularity": "channel"}, {"frozen_bn": "keep"}])
def test_unknown_values_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        ScaleInvariantWeights(network(), **options)


def test_frozen_batch_norm_is_skipped_or_taken_in() -> None:
    model = network()
    model[1].eval()
    skip, fold = ScaleInvariantWeights(model), ScaleInvariantWeights(model, frozen_bn="fold")
    watch(skip, model)
    watch(fold, model)
    assert [v.name for v in skip.selected] == SELECTED[1:]
    assert [v.name for v in fold.selected] == SELECTED


def test_what_follows_is_called_once_the_weights_are_known() -> None:
    model = network()
    known: list[list[str]] = []
    weights = ScaleInvariantWeights(model, then=lambda: known.append([v.name for v in weights.selected]))
    watch(weights, model)
    watch(weights, model)
    assert known == [SELECTED]
    loaded = ScaleInvariantWeights(model, then=lambda: known.append([v.name for v in loaded.selected]))
    loaded.load_state_dict(weights.state_dict())
    watch(loaded, model)
    assert known == [SELECTED, SELECTED]


def test_a_saved_state_is_what_was_found() -> None:
    model = network()
    weights = ScaleInvariantWeights(model)
    assert weights.state_dict() == {}
    watch(weights, model)
    again = ScaleInvariantWeights(network())
    again.load_state_dict({})
    assert not again.found
    again.load_state_dict(copy.deepcopy(weights.state_dict()))
    assert again.observation == weights.observation and again.verdicts == weights.verdicts


def test_the_state_of_another_model_is_refused() -> None:
    model = network()
    weights = ScaleInvariantWeights(model)
    watch(weights, model)
    with pytest.raises(ModelError, match=r"another model: it has no weight 0\.weight of that shape"):
        ScaleInvariantWeights(network(width=5)).load_state_dict(weights.state_dict())
