"""From facts to verdicts: which weights are scale-invariant, which are rescaled, and why not."""

from __future__ import annotations

import pytest
import torch
from small_networks import Branches, sequence, verdicts
from torch import nn

from wrs_mm.rescaling import Observation, Verdict, judge
from wrs_mm.rescaling.observation import Feed, NormFacts, WeightFacts
from wrs_mm.rescaling.verdicts import computed_weights, shorten


def observed(*feeds: Feed, other_inputs: bool = False, **facts: object) -> Observation:
    """One weight of two filters, and the norm layer that it feeds."""
    norm = NormFacts("bn.running_mean", "bn.running_var", 1e-5, False, [other_inputs, False])
    weight = WeightFacts((2, 3), 0, True, used=True, feeds=list(feeds))
    for name, value in facts.items():
        setattr(weight, name, value)
    return Observation({"weight": weight}, {"bn": norm})


def verdict_on(observation: Observation, **options: str) -> Verdict:
    (verdict,) = judge(observation, **options)
    return verdict


FEED = Feed("bn", None, (0, 1))


def test_a_weight_that_feeds_only_norm_layers_is_invariant_and_rescaled() -> None:
    verdict = verdict_on(observed(FEED))
    assert verdict.scale_invariant and verdict.selected and verdict.used
    assert (verdict.norm_layers, verdict.feeds, verdict.reason) == (("bn",), (FEED,), "feeds only bn")


def test_one_reason_against_it_is_enough_and_the_first_is_said() -> None:
    verdict = verdict_on(observed(FEED, reasons=["first", "second"]))
    assert not verdict.scale_invariant and not verdict.selected and verdict.reason == "first"


def test_a_reason_against_filters_leaves_the_whole_weight_invariant() -> None:
    observation = observed(filter_reasons=["by group"], grouped_norms=["gn"])
    by_filter, by_layer = verdict_on(observation), verdict_on(observation, granularity="layer")
    assert not by_filter.scale_invariant and by_filter.reason == "by group"
    assert by_layer.scale_invariant and by_layer.norm_layers == ("gn",)


def test_a_weight_that_reaches_no_norm_layer_is_not_invariant() -> None:
    verdict = verdict_on(observed())
    assert not verdict.scale_invariant and verdict.reason == "its output reaches no norm layer"


def test_what_the_loss_did_not_use_is_said_apart_from_the_reason() -> None:
    verdict = verdict_on(observed(used=False))
    assert not verdict.used and not verdict.scale_invariant


@pytest.mark.parametrize(
    ("feeds", "other_inputs", "why"),
    [
        ([FEED, Feed("bn", None, (1, 0))], False, "fed by several filters"),
        ([FEED, Feed("bn", "bias", (0, 1))], False, "fed by several filters"),
        ([FEED], True, "also fed by what no filter scales"),
    ],
)
def test_statistics_that_cannot_be_folded_leave_a_weight_invariant_but_not_rescaled(
    feeds: list[Feed], other_inputs: bool, why: str
) -> None:
    observation = observed(*feeds, other_inputs=other_inputs)
    verdict = verdict_on(observation)
    assert verdict.scale_invariant and not verdict.selected and why in verdict.reason
    observation.norms["bn"].mean = observation.norms["bn"].var = None  # nothing to fold
    assert verdict_on(observation).selected


def test_a_computed_weight_has_no_verdict_and_is_named_by_its_module() -> None:
    observation = observed(FEED, computed_by="head.conv")
    assert judge(observation) == []
    assert computed_weights(observation) == ["head.conv"]
    assert computed_weights(observed(computed_by="head.conv")) == [], "it feeds no norm layer"
    assert computed_weights(observed(FEED)) == []


def test_long_lists_of_names_are_cut() -> None:
    assert shorten(["a", "b"]) == "a, b"
    assert shorten(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


# -- from a forward ---------------------------------------------------------------------------------


def test_weights_that_share_statistics_are_invariant_but_not_rescaled() -> None:
    found = verdicts(Branches("shared norm"), torch.randn(2, 3, 8, 8))
    for verdict in found.values():
        assert verdict.scale_invariant and not verdict.selected
        assert "share the statistics of bn" in verdict.reason


def test_group_norm_is_invariant_by_layer_not_by_filter() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.GroupNorm(2, 8))
    x = torch.randn(2, 3, 8, 8)
    by_filter = verdicts(model, x)["0.weight"]
    assert not by_filter.scale_invariant and "GroupNorm with 4 channels a group" in by_filter.reason
    assert verdicts(model, x, granularity="layer")["0.weight"].scale_invariant
    one_each = nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(8, 8))
    assert verdicts(one_each, x)["0.weight"].scale_invariant


def test_frozen_batch_norm_breaks_it_unless_it_is_folded() -> None:
    model = sequence()
    model[1].eval()
    x = torch.randn(2, 3, 8, 8)
    skipped = verdicts(model, x)["0.weight"]
    assert not skipped.scale_invariant and not skipped.selected and "frozen" in skipped.reason
    folded = verdicts(model, x, frozen_bn="fold")["0.weight"]
    assert not folded.scale_invariant and folded.selected


def test_weights_that_do_not_train_or_are_not_used_are_left_out() -> None:
    model = sequence()
    model[0].weight.requires_grad_(False)
    verdict = verdicts(model, torch.randn(2, 3, 8, 8))["0.weight"]
    assert verdict.scale_invariant and not verdict.selected and "not trained" in verdict.reason
    model.unused = nn.Conv2d(3, 3, 1)
    model.forward = lambda x: model[1](model[0](x))
    unused = verdicts(model, torch.randn(2, 3, 8, 8))["unused.weight"]
    assert not unused.used and unused.reason == "not used in this loss"
