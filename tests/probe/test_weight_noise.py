"""What no patch reached, under each arm: exactly as it was, or exactly as predicted (short_training.py)."""

from __future__ import annotations

from statistics import fmean
from typing import Any

import probed
import pytest
import torch
from mmengine.config import Config
from torch import Tensor

from wrs_mm.errors import OptionError
from wrs_mm.features.patches import owners
from wrs_mm.probe.short_training import WatchedLayer, arm_of, train_arm
from wrs_mm.probe.subject import Subject
from wrs_mm.probe.weight_noise import Noise, noise_of

FAMILIES = {
    "faster-rcnn": "backbone.layer4.1.conv2.weight",
    "retinanet": "backbone.layer4.0.conv1.weight",
    "pspnet": "backbone.layer4.1.conv1.weight",
}
"""By family, a layer with fewer patches than a filter has values."""
UPDATES = 3


def trained(
    family: str,
    arm: str,
    layer: str,
    subject: Subject | None = None,
    recipe: Config | None = None,
    **options: Any,
) -> tuple[WatchedLayer, Noise]:
    recipe = probed.recipe(family) if recipe is None else recipe
    subject = probed.subject(family) if subject is None else subject
    (watched,), _ = train_arm(subject, recipe, arm, [layer], UPDATES, **options)
    return watched, noise_of(watched, watched.seen.span())


def outside(watched: WatchedLayer) -> list[Tensor]:
    span = watched.seen.span()
    return [span.outside(filters) for filters in watched.filters]


@pytest.mark.parametrize("family", FAMILIES)
def test_without_weight_decay_sgd_leaves_it_to_rounding(family: str) -> None:
    watched, found = trained(family, "none", FAMILIES[family], lr=0.1)
    assert found.patches < found.size and found.rank == found.patches
    assert fmean(found.shares_start) == pytest.approx((found.size - found.rank) / found.size, abs=0.05)
    # Of one filter, from the pseudoinverse of all patches that it saw.
    rows, filter_ = watched.seen.rows()[0], watched.filters[0][0, 3]
    inside = torch.linalg.pinv(rows) @ (rows @ filter_)
    share = 1 - float(inside.square().sum() / filter_.square().sum())
    assert found.shares_start[3] == pytest.approx(share, abs=1e-9)
    first, *_, last = outside(watched)
    moved = (watched.filters[-1] - watched.filters[0]).norm(dim=-1)
    norms = watched.filters[0].norm(dim=-1)
    assert (moved / norms).max() > 1e-7, "inside the span filters have moved"
    assert ((last - first).norm(dim=-1) / norms).max() < 1e-14
    assert found.residual is not None and found.residual < 1e-14
    assert found.predicted == pytest.approx([1.0] * (UPDATES + 1), abs=1e-14)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_weight_decay_shrinks_it_as_it_shrinks_a_weight_without_a_gradient(
    family: str, momentum: float
) -> None:
    settings: dict[str, Any] = {"lr": 0.05, "momentum": momentum, "weight_decay": 0.02}
    watched, found = trained(family, "wd", FAMILIES[family], recipe=probed.recipe(family, **settings))
    # What torch's own SGD makes of a number whose gradient is zero.
    number = torch.nn.Parameter(torch.ones((), dtype=torch.float64))
    sgd = torch.optim.SGD([number], **settings)
    course = [1.0]
    for _ in range(UPDATES):
        number.grad = torch.zeros_like(number)
        sgd.step()
        course.append(float(number))
    assert course[-1] < (0.998 if momentum else 0.9971)
    if not momentum:
        assert course[-1] == pytest.approx((1 - 0.05 * 0.02) ** UPDATES, rel=1e-15)
    first, *_, last = outside(watched)
    norms = watched.filters[0].norm(dim=-1)
    assert ((last - course[-1] * first).norm(dim=-1) / norms).max() < 1e-14
    assert found.course == pytest.approx(course, abs=1e-13) == found.predicted


@pytest.mark.parametrize("family", FAMILIES)
def test_a_rescale_to_the_norm_of_the_start_shrinks_it_by_the_cosine_of_each_turn(family: str) -> None:
    recipe = probed.recipe(family, lr=0.5, momentum=0.0)
    recipe.regularizers = {"wrs": {"target": "init"}}
    subject = probed.subject(family).copy(1e-30)
    watched, found = trained(family, "wrs", FAMILIES[family], subject, recipe)
    # An update at a right angle makes the filter 1 / cos(turn) times as long.
    factor = torch.ones(watched.filters[0].shape[:2], dtype=torch.float64)
    for before, after in zip(watched.filters, watched.filters[1:], strict=False):
        factor *= (before * after).sum(-1) / (before.norm(dim=-1) * after.norm(dim=-1))
    assert factor.max() <= 1 + 1e-15 and factor.min() < 1 - 1e-9
    first, *_, last = outside(watched)
    norms = watched.filters[0].norm(dim=-1)
    # Rescaled to the norm that float64 has of the start.
    assert ((last - factor[..., None] * first).norm(dim=-1) / norms).max() < 1e-13
    assert found.residual is not None and found.residual < 1e-14


@pytest.mark.parametrize("arm", ["none", "wd", "wrs", "scale_lr"])
def test_in_every_arm_the_share_outside_falls_by_the_squared_cosine_of_each_turn(arm: str) -> None:
    recipe = probed.recipe("faster-rcnn", lr=0.5, momentum=0.0, weight_decay=0.02)
    subject = probed.subject("faster-rcnn").copy(1e-30)
    watched, _ = trained("faster-rcnn", arm, FAMILIES["faster-rcnn"], subject, recipe)
    span = watched.seen.span()
    expected = span.share_outside(watched.filters[0])
    for before, after in zip(watched.filters, watched.filters[1:], strict=False):
        turns = (before * after).sum(-1) / (before.norm(dim=-1) * after.norm(dim=-1))
        expected = expected * turns.square()
    found = span.share_outside(watched.filters[-1])
    assert (found < span.share_outside(watched.filters[0])).all()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_rescale_to_norm_1_shrinks_it_with_the_filter(family: str) -> None:
    watched, found = trained(family, "wrs", FAMILIES[family], lr=0.1)
    assert watched.filters[-1].norm(dim=-1) == pytest.approx(1.0, abs=1e-12)
    assert found.residual is not None and found.residual < 1e-14
    assert found.predicted is not None and found.course[-1] == pytest.approx(found.predicted[-1], abs=1e-13)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_learning_rate_that_grows_with_the_norm_leaves_it(family: str) -> None:
    _, found = trained(family, "scale_lr", FAMILIES[family], lr=0.1)
    assert found.predicted == (1.0,) * (UPDATES + 1) or found.predicted == pytest.approx([1.0] * 4, abs=1e-14)
    assert found.residual is not None and found.residual < 1e-14


# -- bit for bit --------------------------------------------------------------------------------------

ASPP = "decode_head.aspp_modules.3.conv.weight"
"""Dilation 36 on features of 8 x 8: eight of nine taps only see padding."""


@pytest.mark.parametrize("arm", ["none", "scale_lr"])
def test_taps_that_only_see_padding_are_untouched_bit_for_bit(arm: str) -> None:
    watched, found = trained("deeplabv3", arm, ASPP, lr=0.1)
    module = owners(probed.subject("deeplabv3").model, ASPP)[0]
    assert module.dilation == (36, 36) and module.weight.shape == (8, 64, 3, 3)
    assert found.never_fed == found.untouched == 8 * 64 * 8
    start, end = (filters.view(8, 64, 3, 3) for filters in (watched.filters[0], watched.filters[-1]))
    outer = torch.ones(3, 3, dtype=torch.bool)
    outer[1, 1] = False
    assert torch.equal(start[..., outer], end[..., outer])
    assert found.untouched_elsewhere < found.others / 100


def test_weight_decay_touches_them_all() -> None:
    _, found = trained("deeplabv3", "wd", ASPP, lr=0.1)
    assert found.never_fed == 8 * 64 * 8 and found.untouched == 0
    assert found.residual is not None and found.residual < 1e-14


def test_the_filters_on_a_dead_channel_are_untouched_bit_for_bit() -> None:
    subject = probed.subject("pspnet").copy()
    norm = subject.model.backbone.layer1[0].bn1
    with torch.no_grad():
        norm.bias[2] = -1000.0
    _, found = trained("pspnet", "none", "backbone.layer1.0.conv2.weight", subject, lr=0.1)
    assert found.rank == 7 * 9 and found.size == 8 * 9
    assert found.never_fed == found.untouched == 9 * 8
    assert found.residual is not None and found.residual < 1e-14


def test_directions_that_are_no_axes_are_left_to_rounding_and_not_bit_for_bit() -> None:
    _, found = trained("pspnet", "none", FAMILIES["pspnet"], lr=0.1)
    assert found.never_fed == 0 and found.untouched_elsewhere < found.others / 100
    assert found.residual is not None and 0 < found.residual < 1e-14


# -- what is not predicted ------------------------------------------------------------------------------


def test_of_other_optimizers_and_rules_nothing_is_predicted_and_adam_moves_what_no_patch_reaches() -> None:
    recipe = probed.recipe("pspnet")
    recipe.optim_wrapper.optimizer = {"type": "Adam", "lr": 1e-3, "weight_decay": 1e-4}
    recipe.optim_wrapper.type = "AmpOptimWrapper"
    recipe.optim_wrapper.accumulative_counts = 2
    _, found = trained("pspnet", "none", FAMILIES["pspnet"], recipe=recipe)
    assert found.predicted is None and found.residual is None
    assert abs(found.course[-1] - 1) > 1e-9
    _, found = trained("pspnet", "hyperball", FAMILIES["pspnet"], lr=0.01)
    assert found.predicted is None and len(found.course) == UPDATES + 1


def test_adam_leaves_what_meets_only_zeros_bit_for_bit() -> None:
    recipe = probed.recipe("deeplabv3")
    recipe.optim_wrapper.optimizer = {"type": "Adam", "lr": 1e-3, "weight_decay": 1e-4}
    _, found = trained("deeplabv3", "none", ASPP, recipe=recipe)
    assert found.never_fed == found.untouched == 8 * 64 * 8 and found.untouched_elsewhere < found.others / 100


def test_ranks_are_taken_down_on_the_way_and_progress_is_told() -> None:
    told: list[int] = []
    watched, found = trained("pspnet", "none", FAMILIES["pspnet"], rank_after=(1, 3), progress=told.append)
    assert told == [1] * UPDATES
    assert [count for count, _ in watched.ranks] == [found.patches // UPDATES, found.patches]
    assert watched.ranks[-1][1] == found.rank


def test_an_arm_with_other_layers_is_refused() -> None:
    with pytest.raises(OptionError, match="the arm ws trains other layers"):
        arm_of(probed.recipe("pspnet"), "ws")
