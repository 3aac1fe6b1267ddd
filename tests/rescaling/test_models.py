"""Which weights a model has, and what is inside a wrapper."""

from __future__ import annotations

from torch import nn

from wrs_mm.rescaling.models import has_class_name, unwrap, weights_of


def test_weights_are_listed_once_in_the_order_of_the_parameters() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(4)
            self.up = nn.ConvTranspose2d(4, 4, 3, groups=2)
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
            self.second.weight = self.first.weight
            self.attention = nn.MultiheadAttention(4, 2)

    names = [(name, groups) for name, _, groups in weights_of(Network())]
    assert names == [
        ("up.weight", 2),
        ("first.weight", 0),
        ("attention.in_proj_weight", 0),
        ("attention.out_proj.weight", 0),
    ]


def test_a_weight_that_is_computed_is_no_parameter() -> None:
    model = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    assert weights_of(model) == []


def test_a_parallel_wrapper_is_looked_through_and_nothing_else() -> None:
    inner = nn.Linear(2, 2)
    assert unwrap(nn.DataParallel(inner)) is inner and unwrap(inner) is inner
    other = nn.Module()
    other.module = inner
    assert unwrap(other) is other


def test_classes_are_known_by_name_and_so_are_those_that_inherit() -> None:
    class Child(nn.SyncBatchNorm):
        pass

    assert has_class_name(Child(3), {"SyncBatchNorm"}) and not has_class_name(
        nn.BatchNorm2d(3), {"SyncBatchNorm"}
    )
