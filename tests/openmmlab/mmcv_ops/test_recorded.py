"""mmcv's Python operators on top of wrs_mm give what compiled mmcv 2.1.0 gave on the CPU.

Of wrs_mm.openmmlab.mmcv_ops.bbox_overlaps these are all tests; the others have more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext

provide_mmcv_ext()

import mmcv.ops  # noqa: E402

RECORDED = np.load(Path(__file__).parents[2] / "data" / "mmcv_2.1.0_cpu_ops.npz")

# What the recording did not store, because it was the same in every case.
SOFT_NMS = {"iou_threshold": 0.3, "sigma": 0.5, "min_score": 1e-3}
BATCHED_NMS = {"type": "nms", "iou_threshold": 0.5}
ROI_ALIGN_SIZE, ROI_ALIGN_SCALE = 7, 0.25


def cases(operator: str) -> list[str]:
    names = {key.split("/")[0] for key in RECORDED}
    return sorted(name for name in names if name.rstrip("0123456789") == operator)


def recorded(case: str) -> dict[str, np.ndarray]:
    return {k.split("/")[1]: RECORDED[k] for k in RECORDED if k.split("/")[0] == case}


def tensor(value: np.ndarray, *, grad: bool = False) -> Tensor:
    return torch.from_numpy(value).requires_grad_(grad)


def assert_close(actual: Tensor, expected: np.ndarray) -> None:
    # Sums of terms that cancel carry the rounding of the terms: hence the small absolute part.
    rounding = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=1e-4, atol=rounding)


def test_every_recorded_case_is_tested():
    tested = {
        "nms": 4,
        "soft_nms": 3,
        "batched_nms": 2,
        "roi_align": 4,
        "deform_conv": 2,
        "modulated_deform_conv": 2,
        "bbox_overlaps": 3,
    }
    assert {operator: len(cases(operator)) for operator in tested} == tested
    assert sum(tested.values()) == len({key.split("/")[0] for key in RECORDED})


@pytest.mark.parametrize("case", cases("nms"))
def test_nms(case):
    r = recorded(case)
    dets, kept = mmcv.ops.nms(
        tensor(r["boxes"]),
        tensor(r["scores"]),
        float(r["iou_threshold"]),
        int(r["offset"]),
        float(r["score_threshold"]),
        int(r["max_num"]),
    )
    np.testing.assert_array_equal(kept.numpy(), r["inds"])
    assert_close(dets, r["dets"])


@pytest.mark.parametrize("case", cases("soft_nms"))
def test_soft_nms(case):
    r = recorded(case)
    dets, kept = mmcv.ops.soft_nms(
        tensor(r["boxes"]),
        tensor(r["scores"]),
        **SOFT_NMS,
        method=str(r["method"]),
        offset=int(r["offset"]),
    )
    np.testing.assert_array_equal(kept.numpy(), r["inds"])
    assert_close(dets, r["dets"])


@pytest.mark.parametrize("case", cases("batched_nms"))
def test_batched_nms(case):
    r = recorded(case)
    dets, kept = mmcv.ops.batched_nms(
        tensor(r["boxes"]),
        tensor(r["scores"]),
        tensor(r["idxs"]),
        BATCHED_NMS,
        bool(r["class_agnostic"]),
    )
    np.testing.assert_array_equal(kept.numpy(), r["keep"])
    assert_close(dets, r["dets"])


@pytest.mark.parametrize("case", cases("roi_align"))
def test_roi_align(case):
    r = recorded(case)
    x = tensor(r["x"], grad=True)
    layer = mmcv.ops.RoIAlign(
        ROI_ALIGN_SIZE,
        ROI_ALIGN_SCALE,
        sampling_ratio=int(r["sampling_ratio"]),
        pool_mode=str(r["mode"]),
        aligned=bool(r["aligned"]),
    )
    out = layer(x, tensor(r["rois"]))
    out.backward(tensor(r["grad_out"]))
    assert_close(out, r["out"])
    assert_close(x.grad, r["grad_x"])


@pytest.mark.parametrize("case", cases("deform_conv"))
def test_deform_conv(case):
    r = recorded(case)
    leaves = {name: tensor(r[name], grad=True) for name in ("x", "offset", "weight")}
    geometry = [int(r[k]) for k in ("stride", "padding")]
    groups = [int(r[k]) for k in ("groups", "deform_groups")]
    out = mmcv.ops.deform_conv2d(*leaves.values(), *geometry, 1, *groups)
    out.backward(tensor(r["grad_out"]))
    assert_close(out, r["out"])
    for name, leaf in leaves.items():
        assert_close(leaf.grad, r[f"grad_{name}"])


@pytest.mark.parametrize("case", cases("modulated_deform_conv"))
def test_modulated_deform_conv(case):
    r = recorded(case)
    names = ("x", "offset", "mask", "weight", "bias")
    leaves = {name: tensor(r[name], grad=True) for name in names}
    geometry = [int(r[k]) for k in ("stride", "padding")]
    groups = [int(r[k]) for k in ("groups", "deform_groups")]
    out = mmcv.ops.modulated_deform_conv2d(*leaves.values(), *geometry, 1, *groups)
    out.backward(tensor(r["grad_out"]))
    assert_close(out, r["out"])
    for name, leaf in leaves.items():
        assert_close(leaf.grad, r[f"grad_{name}"])


@pytest.mark.parametrize("case", cases("bbox_overlaps"))
def test_bbox_overlaps(case):
    r = recorded(case)
    overlaps = mmcv.ops.bbox_overlaps(
        tensor(r["a"]), tensor(r["b"]), str(r["mode"]), bool(r["aligned"]), int(r["offset"])
    )
    assert_close(overlaps, r["out"])
