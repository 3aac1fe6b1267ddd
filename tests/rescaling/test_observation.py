"""What one forward showed: joined over processes, and saved as plain Python."""

from __future__ import annotations

import io

import pytest
import torch
from small_networks import Branches, sequence
from torch import Tensor, nn

from wrs_mm.errors import ModelError
from wrs_mm.rescaling import Observation, judge, merge, observe
from wrs_mm.rescaling.observation import NormFacts, WeightFacts, from_plain, to_plain


def test_what_several_processes_saw_is_joined() -> None:
    class Sometimes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = sequence(), sequence()

        def forward(self, x: Tensor, leak: bool) -> Tensor:
            if leak:
                return self.b(x).mean() + self.a[0](x).mean()
            return self.a(x).mean()

    model, x = Sometimes(), torch.randn(2, 3, 8, 8)
    seen = []
    for leak in (False, True):
        with observe(model) as observation:
            model(x, leak)
        seen.append(observation)
    joined = {v.name: v.scale_invariant for v in judge(merge(seen))}
    assert joined == {"a.0.weight": False, "b.0.weight": True}
    assert joined == {v.name: v.scale_invariant for v in judge(merge(seen[::-1]))}
    other = Sometimes()
    other.a[0].weight.requires_grad_(False)
    with observe(other) as observation:
        other(x, False)
    with pytest.raises(ModelError, match="different models"):
        merge([*seen, observation])


def test_weights_that_are_computed_may_differ_between_processes() -> None:
    def seen(*computed: str) -> Observation:
        weights = {"weight": WeightFacts((2, 3), 0, True, used=True)}
        weights |= {name: WeightFacts((2, 3), 0, False, computed_by=name) for name in computed}
        return Observation(weights)

    merged = merge([seen("b"), seen("a", "b")])
    assert list(merged.weights) == ["weight", "b", "a"]
    assert merged.weights["a"].computed_by == "a"


def test_a_norm_layer_is_frozen_and_shared_if_any_process_saw_it_so() -> None:
    seen = [
        Observation(norms={"bn": NormFacts("m", "v", 1e-5, frozen, list(others))})
        for frozen, others in ((False, (True, False, False)), (True, (False, False, True)))
    ]
    merged = merge(seen)
    assert merged.norms["bn"].frozen and merged.norms["bn"].other_inputs == [True, False, True]
    assert not seen[0].norms["bn"].frozen, "what is merged is copied"


def test_plain_python_comes_back_as_it_was_through_a_safe_checkpoint() -> None:
    model = Branches("cat")
    model.gn = nn.Sequential(nn.Conv2d(8, 8, 1, bias=False), nn.GroupNorm(2, 8))
    with observe(model) as observation:
        model.gn(model(torch.randn(2, 3, 8, 8)))
        torch.nn.functional.conv2d(torch.randn(2, 3, 8, 8), torch.randn(4, 3, 1, 1))
    assert any(facts.computed_by is not None for facts in observation.weights.values())
    file = io.BytesIO()
    torch.save(to_plain(observation), file)
    file.seek(0)
    again = from_plain(torch.load(file, weights_only=True))
    assert again == observation and judge(again) == judge(observation)
    assert judge(again, "group")[-1].groups == (0,) * 4 + (1,) * 4


def test_an_observation_without_groups_is_saved_as_it_always_was() -> None:
    model = sequence()
    with observe(model) as observation:
        model(torch.randn(2, 3, 8, 8))
    (facts,) = to_plain(observation)["weights"].values()
    assert list(facts) == [
        "shape", "transposed_groups", "trained", "computed_by", "used", "feeds", "reasons", "filter_reasons",
        "grouped_norms",
    ]  # fmt: skip


def test_processes_that_saw_different_groups_scale_what_any_of_them_ties() -> None:
    def seen(*tied: tuple[int, ...]) -> Observation:
        facts = WeightFacts((4, 2), 0, True, used=True, grouped_norms=["norm"], tied=list(tied))
        return Observation({"weight": facts})

    (verdict,) = judge(merge([seen((0, 1)), seen((0, 1), (1, 3))]), "group")
    assert verdict.groups == (0, 0, 1, 0)
