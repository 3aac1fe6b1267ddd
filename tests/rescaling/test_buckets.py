"""Many weights at a time are rescaled as each alone; trainings are in test_weight_rescaler."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from wrs_mm.rescaling import buckets, judge, observe
from wrs_mm.rescaling.functional import filter_norms, rescale_


def network(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """Weights of every kind; one has a bias, one feeds a norm layer without statistics."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8),
        nn.ConvTranspose2d(8, 6, 3, groups=2, bias=False), nn.InstanceNorm2d(6, eps=1e-30),
        nn.Flatten(), nn.Linear(6 * 8 * 8, 4), nn.BatchNorm1d(4),
    ).to(dtype)  # fmt: skip


def bucket_of(
    model: nn.Module, target: float = 1.0, granularity: str = "filter", min_norm: float = 1e-8
) -> buckets.Bucket:
    parameter = next(model.parameters())
    with observe(model) as observation:
        model(torch.randn(4, 3, 8, 8, dtype=parameter.dtype)).square().mean()
    verdicts = [v for v in judge(observation, granularity) if v.selected]
    assert len(verdicts) == 3
    return buckets.Bucket(
        verdicts,
        dict(model.named_parameters()),
        dict(model.named_modules()),
        observation.norms,
        [target] * 3,
        min_norm,
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("granularity", ["filter", "layer"])
def test_all_weights_together_are_rescaled_as_each_alone(dtype: torch.dtype, granularity: str) -> None:
    model = network(dtype)
    expected = {}
    for name, groups in (("0.weight", 0), ("2.weight", 2), ("5.weight", 0)):
        weight = model.get_parameter(name).detach().clone()
        rescale_(weight, 2.0 / filter_norms(weight, groups, granularity), groups)
        expected[name] = weight
    bucket = bucket_of(model, 2.0, granularity)
    slots = 3 if granularity == "layer" else 8 + 6 + 4
    assert bucket.norms.shape == bucket.targets.shape == bucket.smallest.shape == (slots,)
    assert bucket.factors.shape == bucket.largest.shape == (slots + 1,)
    assert bucket.norms.dtype == (torch.float64 if dtype is torch.float64 else torch.float32)
    bucket.rescale()
    for name, weight in expected.items():
        assert torch.equal(model.get_parameter(name), weight), name


@pytest.mark.parametrize("granularity", ["filter", "layer"])
def test_a_rescale_keeps_the_output_in_eval_mode(granularity: str) -> None:
    model = network(torch.float64)
    bucket = bucket_of(model, 0.5, granularity)
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        before = model.eval()(x)
        bucket.rescale()
        torch.testing.assert_close(model(x), before, rtol=1e-9, atol=1e-12)
    assert float(bucket.factors[-1]) == 1.0


def test_how_many_weights_are_worked_on_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = network(), network()
    torch.manual_seed(1)
    bucket_of(model).rescale()
    monkeypatch.setattr(buckets, "CACHED_NUMBERS", 1)
    torch.manual_seed(1)
    bucket_of(other).rescale()
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_skipped_filters_and_their_statistics_stay_exactly_as_they_are() -> None:
    model = network()
    bucket = bucket_of(model)
    with torch.no_grad():
        model[0].weight[0] = 0
        model[0].weight[1, 0, 0, 0] = torch.inf
        model[0].weight[2] *= 1e4
        model[1].running_var[2] = 1e-5
    before = copy.deepcopy(model)
    bucket.rescale()
    masks = {why: mask.nonzero().flatten().tolist() for why, mask in bucket.skipped.items()}
    assert masks == {"dead": [0], "nonfinite": [1], "unfoldable": [2]}
    assert torch.equal(model[0].weight[:3], before[0].weight[:3])
    for name in ("running_mean", "running_var"):
        assert torch.equal(getattr(model[1], name)[:3], getattr(before[1], name)[:3])
        assert not torch.equal(getattr(model[1], name), getattr(before[1], name))


def test_a_share_of_the_target_is_the_norm_of_a_dead_filter() -> None:
    model = network()
    with torch.no_grad():
        model[0].weight[:] = 0.1  # norm 0.52 of 27 numbers
    bucket = bucket_of(model, target=1.0, min_norm=0.6)
    bucket.rescale()
    assert bucket.skipped["dead"][:8].all() and bool((model[0].weight == 0.1).all())


def test_statistics_that_were_replaced_are_found() -> None:
    model = network(torch.float64)
    bucket = bucket_of(model)
    model[1].running_mean = model[1].running_mean.clone()
    x = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        before = model.eval()(x)
        bucket.rescale()
        torch.testing.assert_close(model(x), before, rtol=1e-9, atol=1e-12)
