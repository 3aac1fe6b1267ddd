"""Where labels begin and end, in layers that are not torch.nn's; those are in test_observer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from small_networks import verdicts
from torch import Tensor, nn

from wrs_mm.rescaling import judge, observe


class Computed(nn.Module):
    """A convolution whose weight is made anew in each forward, and a norm layer."""

    def __init__(self, transposed: bool, *widths: int) -> None:
        super().__init__()
        self.transposed, self.widths = transposed, widths
        self.norms = nn.ModuleDict({str(width): nn.BatchNorm2d(width) for width in set(widths)})

    def forward(self, x: Tensor) -> Tensor:
        total = x.new_zeros(())
        for width in self.widths:
            if self.transposed:
                y = F.conv_transpose2d(x, torch.randn(4, width // 2, 3, 3), groups=2)
            else:
                y = F.conv2d(x, torch.randn(width, 4, 3, 3))
            total = total + self.norms[str(width)](y).mean()
        return total


def test_a_weight_that_a_module_computes_again_counts_as_one_of_each_shape() -> None:
    for transposed in (False, True):
        model = nn.Sequential(Computed(transposed, 6, 8, 6, 8))
        with observe(model) as observation:
            model(torch.randn(2, 4, 5, 5))
        assert [facts.computed_by for facts in observation.weights.values()] == ["0", "0"]
        by_width = {feed.norm: len(f.feeds) for f in observation.weights.values() for feed in f.feeds}
        assert by_width == {"0.norms.6": 1, "0.norms.8": 1}
        assert judge(observation) == []


def test_a_parameter_of_somebodys_own_layer_is_a_weight() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel, self.norm = nn.Parameter(torch.randn(6, 3, 3, 3)), nn.BatchNorm2d(6)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(F.conv2d(x, self.kernel))

    assert verdicts(Own(), torch.randn(2, 3, 8, 8))["kernel"].scale_invariant


def test_a_bias_that_is_computed_rules_its_weight_out() -> None:
    class Shifted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(F.conv2d(x, self.conv.weight, self.conv.bias * 2))

    verdict = verdicts(Shifted(), torch.randn(2, 3, 8, 8))["conv.weight"]
    assert not verdict.scale_invariant and "whose bias is computed" in verdict.reason


def test_a_norm_layers_computed_gamma_is_not_normalized() -> None:
    class Conditional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.linear = nn.Conv2d(3, 6, 3), nn.Linear(2, 6, bias=False)
            self.norm, self.other = nn.BatchNorm2d(6), nn.BatchNorm1d(6)

        def forward(self, x: Tensor) -> Tensor:
            y = self.linear(x.new_ones(3, 2) * torch.arange(3.0)[:, None])
            gamma = y.mean(0)
            mean, var = self.norm.running_mean, self.norm.running_var
            return F.batch_norm(self.conv(x), mean, var, gamma, training=True) + self.other(y).mean()

    found = verdicts(Conditional(), torch.randn(2, 3, 8, 8))
    assert found["conv.weight"].scale_invariant
    assert not found["linear.weight"].scale_invariant and "batch_norm" in found["linear.weight"].reason


def test_statistics_that_are_no_buffers_cannot_be_folded_and_rule_out() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 3)
            self.mean, self.var = torch.zeros(6), torch.ones(6)

        def forward(self, x: Tensor) -> Tensor:
            return F.batch_norm(self.conv(x), self.mean, self.var, training=True)

    verdict = verdicts(Own(), torch.randn(2, 3, 8, 8))["conv.weight"]
    assert not verdict.scale_invariant and "no buffers" in verdict.reason


def test_layer_norm_is_invariant_to_the_whole_weight_where_it_spans_all_of_its_filters() -> None:
    model = nn.Sequential(nn.Linear(5, 4, bias=False), nn.LayerNorm(4))
    x = torch.randn(3, 5)
    assert "LayerNorm over its channels" in verdicts(model, x)["0.weight"].reason
    assert verdicts(model, x, granularity="layer")["0.weight"].scale_invariant
    assert verdicts(model, x, granularity="group")["0.weight"].groups == (0, 0, 0, 0)


def test_layer_norm_within_a_channel_is_invariant_to_each_filter() -> None:
    across = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LayerNorm(8))  # over the width of an image
    verdict = verdicts(across, torch.randn(2, 3, 8, 8))["0.weight"]
    assert verdict.scale_invariant and verdict.selected and verdict.norm_layers == ("1",)


def test_layer_norm_over_a_head_takes_the_filters_of_each_head_together() -> None:
    class Heads(nn.Module):
        def __init__(self, bias: bool) -> None:
            super().__init__()
            self.query, self.norm = nn.Linear(5, 6, bias=bias), nn.LayerNorm(2)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.query(x).unflatten(-1, (3, 2)).transpose(1, 2))

    x = torch.randn(4, 7, 5)
    verdict = verdicts(Heads(bias=False), x, granularity="group")["query.weight"]
    assert verdict.scale_invariant and verdict.groups == (0, 0, 1, 1, 2, 2)
    assert verdict.reason == "feeds only norm; its 6 filters are scaled in 3 groups"
    with_bias = verdicts(Heads(bias=True), x, granularity="group")["query.weight"]
    assert not with_bias.scale_invariant and "with a bias" in with_bias.reason


class Joined(nn.Module):
    """Two convolutions side by side before one GroupNorm."""

    def __init__(self, groups: int, second: bool = True) -> None:
        super().__init__()
        self.a, self.b = (nn.Conv2d(3, width, 1, bias=False) for width in (4, 8))
        self.norm, self.second = nn.GroupNorm(groups, 12), second

    def forward(self, x: Tensor) -> Tensor:
        b = self.b(x)
        return self.norm(torch.cat([self.a(x), b if self.second else torch.ones_like(b)], dim=1))


def test_a_group_that_two_weights_fill_rules_both_out_and_one_that_one_fills_does_not() -> None:
    x = torch.randn(2, 3, 8, 8)
    apart = verdicts(Joined(3), x, granularity="group")
    assert apart["a.weight"].groups == (0,) * 4 and apart["b.weight"].groups == (0,) * 4 + (1,) * 4
    assert all(v.scale_invariant for v in apart.values())
    mixed = verdicts(Joined(2), x, granularity="group")  # a and two filters of b, six of b
    assert not any(v.scale_invariant for v in mixed.values())
    assert "together with another weight's filters" in mixed["a.weight"].reason
    beside = verdicts(Joined(2, second=False), x, granularity="group")["a.weight"]
    assert not beside.scale_invariant and "values that no filter scales" in beside.reason


class _Distilled(nn.Module):
    """A student whose teacher is out of sight, as mmdet's distillation holds it."""

    def __init__(self) -> None:
        super().__init__()
        self.student = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
        widths = zip((3, 6), (6, 8), strict=True)
        layers = [layer for i, o in widths for layer in (nn.Conv2d(i, o, 3), nn.BatchNorm2d(o))]
        object.__setattr__(self, "teacher", nn.Sequential(*layers).eval())

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.teacher(x).mean()
        return (self.student(x).mean() - wanted).square()


def test_a_teacher_that_is_no_part_of_the_model_has_no_weights_to_judge() -> None:
    found = verdicts(_Distilled(), torch.randn(2, 3, 8, 8))
    assert list(found) == ["student.0.weight"] and found["student.0.weight"].selected


def test_what_goes_into_another_model_depends_on_the_scale() -> None:
    class Perceived(_Distilled):
        def forward(self, x: Tensor) -> Tensor:
            return self.teacher(self.student[0](x)[:, :3]).mean() + self.student(x).mean()

    found = verdicts(Perceived(), torch.randn(2, 3, 12, 12))
    assert not found["student.0.weight"].scale_invariant


def test_a_weighted_sum_is_no_layer_with_filters() -> None:
    class Expected(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(3, 4, 3, bias=False)
            self.norm = nn.BatchNorm2d(4)
            self.register_buffer("places", torch.arange(6.0))

        def forward(self, x: Tensor) -> Tensor:
            # Generalized focal loss: the mean of a distribution over places.
            distances = F.linear(self.head(x), self.places)
            return self.norm(self.conv(x)).mean() + distances.reshape(-1, 4)[distances.numel() // 8 :].mean()

    found = verdicts(Expected(), torch.randn(2, 3, 8, 8))
    assert found["conv.weight"].selected
    assert not found["head.weight"].scale_invariant and "linear layer" in found["head.weight"].reason
