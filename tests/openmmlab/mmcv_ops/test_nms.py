"""Suppression agrees with plain loops, on ties and at the threshold too."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext

provide_mmcv_ext()

import mmcv.ops  # noqa: E402

from wrs_mm.openmmlab.mmcv_ops import nms  # noqa: E402


def iou(a, b, offset=0):
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]) + offset)
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]) + offset)
    area_a = (a[2] - a[0] + offset) * (a[3] - a[1] + offset)
    area_b = (b[2] - b[0] + offset) * (b[3] - b[1] + offset)
    return width * height / (area_a + area_b - width * height)


def loop_nms(boxes, scores, threshold, offset):
    left = sorted(range(len(boxes)), key=lambda i: -scores[i])
    kept = []
    while left:
        top, *rest = left
        kept.append(top)
        left = [i for i in rest if iou(boxes[top], boxes[i], offset) <= threshold]
    return kept


def loop_soft_nms(boxes, scores, threshold, sigma, min_score, method, offset):
    """The loops of mmcv's nms.cpp, swap by swap."""
    items = [[list(b), s, i] for i, (b, s) in enumerate(zip(boxes, scores, strict=True))]
    i = 0
    while i < len(items):
        best = i
        for k in range(i + 1, len(items)):
            if items[best][1] < items[k][1]:
                best = k
        items[i], items[best] = items[best], items[i]
        k = i + 1
        while k < len(items):
            overlap = iou(items[i][0], items[k][0], offset)
            factor = 1.0
            if method == "naive" and overlap >= threshold:
                factor = 0.0
            elif method == "linear" and overlap >= threshold:
                factor = 1 - overlap
            elif method == "gaussian":
                factor = float(np.exp(-(overlap**2) / sigma))
            items[k][1] *= factor
            if items[k][1] < min_score:
                items[k] = items[-1]
                items.pop()
            else:
                k += 1
        i += 1
    return [item[2] for item in items], [item[1] for item in items]


def grid_boxes(n, seed):
    """Boxes on whole numbers and scores in tenths: many ties."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 20, (n, 2), generator=generator)
    size = torch.randint(1, 12, (n, 2), generator=generator)
    scores = torch.randint(1, 10, (n,), generator=generator) / 10
    return torch.cat([corner, corner + size], dim=1).double(), scores.double()


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_nms_keeps_what_plain_loops_keep(offset, threshold):
    boxes, scores = grid_boxes(80, seed=offset)
    _, kept = mmcv.ops.nms(boxes, scores, threshold, offset)
    assert kept.tolist() == loop_nms(boxes.tolist(), scores.tolist(), threshold, offset)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("offset", [0, 1])
def test_an_overlap_of_exactly_the_threshold_is_kept(dtype, offset):
    # 10 cells each, 7 or 3 of the union shared
    boxes = torch.tensor([[0, 0, 10, 1], [0, 0, 7, 1], [0, 10, 10, 11], [0, 10, 3, 11]])
    boxes = boxes - torch.tensor([0, 0, offset, offset])
    scores = torch.tensor([0.75, 0.5, 0.25, 0.125])
    for threshold, expected in [(0.7, [0, 1, 2, 3]), (0.3, [0, 2, 3])]:
        dets, kept = mmcv.ops.nms(boxes.to(dtype), scores.to(dtype), threshold, offset)
        assert kept.tolist() == expected
        assert dets.dtype == dtype


def test_nothing_in_nothing_out():
    dets, kept = mmcv.ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5)
    assert dets.shape == (0, 5) and kept.shape == (0,)
    dets, kept = mmcv.ops.soft_nms(torch.zeros(0, 4), torch.zeros(0))
    assert dets.shape == (0, 5) and kept.shape == (0,)
    assert mmcv.ops.nms_match(torch.zeros(0, 5), 0.5) == []


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("min_score", [0.0, 0.05, 0.25])
def test_soft_nms_keeps_the_order_and_scores_of_plain_loops(method, offset, min_score):
    boxes, scores = grid_boxes(60, seed=7)
    dets, kept = mmcv.ops.soft_nms(boxes, scores, 0.3, 0.5, min_score, method, offset)
    expected, lowered = loop_soft_nms(boxes.tolist(), scores.tolist(), 0.3, 0.5, min_score, method, offset)
    assert kept.tolist() == expected
    torch.testing.assert_close(dets[:, 4], torch.tensor(lowered, dtype=torch.float64))
    torch.testing.assert_close(dets[:, :4], boxes[kept])


def test_soft_nms_does_not_change_its_input():
    boxes, scores = grid_boxes(20, seed=3)
    before = boxes.clone(), scores.clone()
    mmcv.ops.soft_nms(boxes, scores)
    assert torch.equal(boxes, before[0]) and torch.equal(scores, before[1])


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
@pytest.mark.parametrize("kept_rows", [2**24, 300])
def test_soft_nms_of_many_boxes_is_that_of_plain_loops(method, kept_rows, monkeypatch):
    # Factors are had for some boxes at a time, and forgotten where there are too many of them.
    monkeypatch.setattr(nms._Factors, "_AT_ONCE", 900)
    monkeypatch.setattr(nms._Factors, "_KEPT", kept_rows)
    boxes, scores = grid_boxes(150, seed=5)
    dets, kept = mmcv.ops.soft_nms(boxes, scores, 0.3, 0.5, 0.01, method)
    expected, lowered = loop_soft_nms(boxes.tolist(), scores.tolist(), 0.3, 0.5, 0.01, method, 0)
    assert kept.tolist() == expected
    torch.testing.assert_close(dets[:, 4], torch.tensor(lowered, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
def test_scores_of_nan_come_last_in_soft_nms_and_the_others_as_without_them(method, dtype):
    boxes = grid_boxes(30, seed=9)[0].to(dtype)
    # No two are equal: of equal ones that goes first that stands first, and NaN moves them.
    scores = ((torch.randperm(30, generator=torch.Generator().manual_seed(9)) + 1) / 32).to(dtype)
    numbers = [index for index in range(30) if index not in (0, 7, 29)]
    scores[[0, 7, 29]] = torch.nan
    dets, kept = mmcv.ops.soft_nms(boxes, scores, 0.3, 0.5, 0.05, method)
    alone, kept_alone = mmcv.ops.soft_nms(boxes[numbers], scores[numbers], 0.3, 0.5, 0.05, method)
    assert torch.equal(dets[:-3], alone)
    assert kept[:-3].tolist() == [numbers[index] for index in kept_alone]
    assert sorted(kept[-3:].tolist()) == [0, 7, 29]
    assert dets[-3:, 4].isnan().all()
    assert dets.dtype == dtype


@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
def test_soft_nms_of_boxes_that_are_nan_ends(method):
    boxes, scores = grid_boxes(20, seed=4)
    boxes[[3, 11]] = torch.nan
    dets, kept = mmcv.ops.soft_nms(boxes, scores, 0.3, 0.5, 0.0, method)
    assert sorted(kept.tolist()) == list(range(20))
    values = dets[:, 4]
    first_nan = int(values.isnan().int().argmax()) if values.isnan().any() else 20
    assert not values[:first_nan].isnan().any() and values[first_nan:].isnan().all()
    _, kept = mmcv.ops.soft_nms(boxes, torch.full_like(scores, torch.nan))
    assert sorted(kept.tolist()) == list(range(20))


@pytest.mark.parametrize("layout", ["transposed", "strided"])
def test_how_boxes_lie_in_memory_does_not_matter(layout):
    boxes, scores = grid_boxes(40, seed=6)
    other = boxes.T.contiguous().T if layout == "transposed" else torch.stack([boxes, boxes], 2)[..., 0]
    spread = torch.stack([scores, scores], dim=1)[:, 0]
    for suppress in (mmcv.ops.soft_nms, lambda b, s: mmcv.ops.nms(b, s, 0.3)):
        for one, two in zip(suppress(boxes, scores), suppress(other, spread), strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize("threshold", [0.25, 0.5])
def test_nms_match_puts_each_box_with_the_first_that_suppresses_it(threshold):
    boxes, scores = grid_boxes(50, seed=11)
    groups = mmcv.ops.nms_match(torch.cat([boxes, scores[:, None]], dim=1), threshold)
    left = sorted(range(50), key=lambda i: -scores[i].item())
    expected = []
    while left:
        top, *rest = left
        joined = [i for i in rest if iou(boxes[top].tolist(), boxes[i].tolist()) >= threshold]
        expected.append([top, *joined])
        left = [i for i in rest if i not in joined]
    assert [group.tolist() for group in groups] == expected
    assert max(map(len, expected)) > 1


def test_nms_match_at_exactly_the_threshold_suppresses():
    dets = np.array([[0, 0, 10, 10, 0.9], [0, 0, 5, 10, 0.8]], dtype=np.float32)
    assert [g.tolist() for g in mmcv.ops.nms_match(dets, 0.5)] == [[0, 1]]
