"""Labels say themselves which filter of which weight they are."""

from __future__ import annotations

import pytest
import torch

from wrs_mm.rescaling.functional import filter_view
from wrs_mm.rescaling.labels import (
    Flow,
    channel_labels,
    compress,
    filter_of,
    join_biases,
    map_tensors,
    output_labels,
    tensors_in,
    weight_labels,
    weights_in,
)


def test_a_label_names_its_weight_and_its_filter() -> None:
    labels = torch.cat([torch.zeros(1, dtype=torch.int64), weight_labels(3, (5,)), weight_labels(0, (2,))])
    assert weights_in(labels) == [0, 3]
    assert [filter_of(label, 3) for label in labels.tolist()] == [-1, 0, 1, 2, 3, 4, -1, -1]
    assert [filter_of(label, 0) for label in labels.tolist()] == [-1, -1, -1, -1, -1, -1, 0, 1]
    assert weights_in(labels[:1]) == [] and len(set(labels.tolist())) == len(labels)


@pytest.mark.parametrize(
    ("shape", "groups"),
    [((6, 3, 2, 2), 0), ((6, 3), 0), ((6,), 0), ((4, 6, 3), 1), ((4, 3, 2, 2), 2)],
)
def test_each_number_of_a_weight_has_the_label_of_its_filter(shape: tuple[int, ...], groups: int) -> None:
    labels = weight_labels(1, shape, groups)
    assert labels.dim() == len(shape) and labels.dtype == torch.int64
    filters, inside = filter_view(labels.expand(shape).contiguous(), groups)
    by_filter = filters.movedim(inside, tuple(range(-len(inside), 0))).reshape(6, -1)
    assert [[filter_of(label, 1) for label in set(row.tolist())] for row in by_filter] == [
        [i] for i in range(6)
    ]
    output = output_labels(labels, shape, groups)
    assert output is not None and [filter_of(label, 1) for label in output.tolist()] == list(range(6))


def test_a_weight_whose_channels_mix_filters_has_no_labels_for_its_output() -> None:
    labels = weight_labels(0, (3, 3, 1, 1))
    assert output_labels(labels.transpose(0, 1), (3, 3, 1, 1)) is None
    assert output_labels(weight_labels(0, (3, 4, 1, 1), 1).transpose(0, 1), (4, 3, 1, 1), 1) is None


def test_a_channel_has_one_label_or_none_of_them_has() -> None:
    labels = weight_labels(0, (4,))
    assert channel_labels(labels.view(1, 4, 1, 1), 4) == labels.tolist()
    assert channel_labels(labels[:1].view(1, 1, 1, 1), 4) == labels[:1].tolist() * 4
    assert channel_labels(labels.view(1, 1, 4, 1), 4) is None


def test_constant_dimensions_are_narrowed() -> None:
    labels = weight_labels(0, (4,)).view(1, 4, 1).expand(3, 4, 5)
    assert compress(labels).shape == (1, 4, 1)
    assert compress(labels.contiguous()).shape == (1, 4, 1)
    assert compress(torch.zeros(2, 0, dtype=torch.int64)).shape == (1, 0)


def test_a_weight_has_its_bias_in_all_flows_or_they_cannot_be_joined() -> None:
    first, second = weight_labels(0, (2,)), weight_labels(1, (2,))
    assert join_biases([Flow(first, {0: "a"}), Flow(second)]) == {0: "a"}
    assert join_biases([Flow(first, {0: "a"}), Flow(second, {1: "b"})]) == {0: "a", 1: "b"}
    assert join_biases([Flow(first, {0: "a"}), Flow(first)]) is None
    assert join_biases([Flow(first, {0: "a"}), Flow(first, {0: "b"})]) is None


def test_nested_arguments_are_gone_through_in_their_order() -> None:
    a, b, c = torch.zeros(1), torch.ones(2), torch.ones(3)
    nested = (a, [b, 1, None], {"key": (c, "text")})
    assert [t.numel() for t in tensors_in(nested)] == [1, 2, 3]
    mapped = map_tensors(nested, lambda t: t.numel())
    assert mapped == (1, [2, 1, None], {"key": (3, "text")})
