"""The verdicts in the loss of one batch; real models are in test_families."""

from __future__ import annotations

import torch
from small_networks import Segmentor
from torch import nn

from wrs_mm.audit.verdicts import audit_model


def model() -> Segmentor:
    return Segmentor(nn.Conv2d(2, 4, 1, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.Dropout(0.5))


BATCH = {"inputs": torch.randn(3, 2, 8, 4)}


def test_every_weight_has_a_verdict_and_the_generator_stays_where_it_was() -> None:
    audited = model()
    state = torch.get_rng_state()
    first, last = audit_model(audited, BATCH)
    assert torch.equal(torch.get_rng_state(), state)
    assert (first.name, first.scale_invariant, first.selected) == ("layers.0.weight", True, True)
    assert (last.name, last.scale_invariant, last.selected) == ("layers.2.weight", False, False)


def test_granularity_and_frozen_bn_are_those_asked_for() -> None:
    grouped = Segmentor(nn.Conv2d(2, 4, 1, bias=False), nn.GroupNorm(2, 4))
    assert not audit_model(grouped, BATCH)[0].scale_invariant
    assert audit_model(grouped, BATCH, granularity="layer")[0].scale_invariant
    frozen = model()
    frozen.layers[1].eval()
    assert not audit_model(frozen, BATCH)[0].selected
    assert audit_model(frozen, BATCH, frozen_bn="fold")[0].selected
