"""The arm ``none``: no weight decay on the scale-invariant weights, and nothing else."""

from __future__ import annotations

import pytest

from wrs_mm.errors import OptionError
from wrs_mm.regularizers.none import none

RECIPE = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1, "weight_decay": 1e-4}}


def test_it_switches_off_the_decay_of_scale_invariant_weights():
    arm = none(RECIPE)
    assert arm["type"] == "ScaleInvariantOptimWrapper"
    assert arm["paramwise_cfg"] == {"scale_invariant_decay_mult": 0.0}
    assert arm["optimizer"] == RECIPE["optimizer"]
    assert "scale_invariance" not in arm


def test_weights_before_frozen_bn_count_if_it_is_asked_to_fold():
    assert none(RECIPE, frozen_bn="fold")["scale_invariance"] == {"frozen_bn": "fold"}


@pytest.mark.parametrize("kind", ["AmpOptimWrapper", "mmengine.optim.AmpOptimWrapper"])
def test_mixed_precision_and_other_factors_stay(kind: str):
    recipe = {**RECIPE, "type": kind, "paramwise_cfg": {"norm_decay_mult": 0.0}, "loss_scale": 512.0}
    arm = none(recipe)
    assert arm["type"] == "AmpScaleInvariantOptimWrapper" and arm["loss_scale"] == 512.0
    assert arm["paramwise_cfg"] == {"norm_decay_mult": 0.0, "scale_invariant_decay_mult": 0.0}
    assert recipe["paramwise_cfg"] == {"norm_decay_mult": 0.0}


def test_a_misspelt_option_is_refused_when_the_arm_is_made():
    with pytest.raises(OptionError, match="frozen_bn must be 'skip' or 'fold', not 'flod'"):
        none(RECIPE, frozen_bn="flod")
