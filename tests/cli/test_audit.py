"""``wrs-mm audit`` has the options of the config's own arm.

The rest of the command is tested in tests/audit/test_brute_force.py.
"""

from __future__ import annotations

import pytest
from arms import load

from wrs_mm.cli.audit import wrs_options_of

FROZEN = "retinanet_r50_fpn_frozenbn_1x_coco"


@pytest.mark.parametrize(
    ("arm", "frozen_bn"), [(None, "skip"), ("wd", "skip"), ("none", "fold"), ("wrs", "fold")]
)
def test_an_audit_has_the_options_of_the_configs_own_arm(arm: str | None, frozen_bn: str):
    config = load("coco", FROZEN, arm)
    assert wrs_options_of(config) == {"granularity": "filter", "frozen_bn": frozen_bn}
