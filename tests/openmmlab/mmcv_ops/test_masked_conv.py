"""Convolution at chosen places is the ordinary one there and nothing elsewhere, also in guided anchoring."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from layouts import layouts, random
from torch._subclasses.fake_tensor import FakeTensorMode

from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext
from wrs_mm.openmmlab.synthetic import build_model, random_batch

provide_mmcv_ext()

from mmcv import _ext  # noqa: E402
from mmcv.ops import MaskedConv2d, masked_conv2d  # noqa: E402

# kernel, padding; sides differ, to tell x from y, and one padding is too small to keep the image's size
GEOMETRIES = [((3, 3), (1, 1)), ((1, 1), (0, 0)), ((5, 3), (2, 1)), ((3, 5), (0, 1))]
PLACES = torch.tensor([[0, 0], [0, 6], [5, 6], [2, 3], [5, 0]])


def columns(image, kernel, padding):
    rows, columns = PLACES.t().contiguous()
    col = image.new_full((image.size(1) * kernel[0] * kernel[1], len(PLACES)), torch.nan)
    _ext.masked_im2col_forward(
        image,
        rows,
        columns,
        col,
        kernel_h=kernel[0],
        kernel_w=kernel[1],
        pad_h=padding[0],
        pad_w=padding[1],
    )
    return col


def loop_columns(image, kernel, padding):
    pixels = image[0].numpy()
    _, height, width = pixels.shape
    col = np.zeros((len(pixels), *kernel, len(PLACES)), pixels.dtype)
    for c, i, j, n in np.ndindex(col.shape):
        y, x = PLACES[n, 0] - padding[0] + i, PLACES[n, 1] - padding[1] + j
        if 0 <= y < height and 0 <= x < width:
            col[c, i, j, n] = pixels[c, y, x]
    return torch.from_numpy(col).flatten(0, 2)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("kernel", "padding"), GEOMETRIES)
def test_columns_are_what_plain_loops_copy(kernel, padding, dtype):
    image = random(1, 3, 6, 7).to(dtype)
    expected = loop_columns(image.double(), kernel, padding).to(dtype)
    for x in (image, *layouts(image)):
        assert torch.equal(columns(x, kernel, padding), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("kernel", "padding"), GEOMETRIES[:3])
def test_it_is_the_ordinary_convolution_where_the_mask_is_and_zero_elsewhere(kernel, padding, dtype):
    x, mask = random(1, 4, 6, 7, dtype=dtype), random(1, 6, 7, seed=1) > 0.5
    weight, bias = random(5, 4, *kernel, seed=2, dtype=dtype), random(5, seed=3, dtype=dtype)
    expected = F.conv2d(x, weight, bias, padding=padding) * mask
    for image in (x, *layouts(x)):
        torch.testing.assert_close(masked_conv2d(image, mask, weight, bias, padding), expected)


def test_an_empty_mask_gives_zeros():
    layer, mask = MaskedConv2d(4, 5, 3, padding=1), torch.zeros(1, 6, 7)
    assert not layer(random(1, 4, 6, 7).float(), mask).any()
    none, col = torch.zeros(0, dtype=torch.int64), torch.zeros(36, 0)
    _ext.masked_im2col_forward(
        torch.ones(1, 4, 6, 7), none, none, col, kernel_h=3, kernel_w=3, pad_h=1, pad_w=1
    )


def test_other_places_stay_as_they_are_and_none_may_lie_outside():
    rows, columns = PLACES.t().contiguous()
    image, col = random(1, 3, 6, 7), random(3, len(PLACES), seed=1)
    before = image.clone()
    _ext.masked_col2im_forward(col, rows, columns, image, height=6, width=7, channels=3)
    chosen = torch.zeros(6, 7, dtype=torch.bool)
    chosen[rows, columns] = True
    assert torch.equal(image[:, :, ~chosen], before[:, :, ~chosen])
    assert torch.equal(image[0][:, rows, columns], col)
    with pytest.raises(IndexError):
        _ext.masked_col2im_forward(col, rows + 1, columns, image, height=6, width=7, channels=3)


def test_tensors_of_a_gpu_stay_there():
    with FakeTensorMode(), torch.device("cuda:0"):
        place, col, image = torch.zeros(5, dtype=torch.int64), torch.zeros(36, 5), torch.zeros(1, 4, 6, 7)
        _ext.masked_im2col_forward(image, place, place, col, kernel_h=3, kernel_w=3, pad_h=1, pad_w=1)
        _ext.masked_col2im_forward(col[:4], place, place, image, height=6, width=7, channels=4)
        assert col.device == image.device


def test_guided_anchoring_is_validated():
    config = load_config(
        "mmdet::guided_anchoring/ga-retinanet_r50_fpn_1x_coco.py",
        {
            "model.backbone.depth": 18,
            "model.backbone.base_channels": 8,
            "model.neck.in_channels": [8, 16, 32, 64],
            "model.bbox_head.stacked_convs": 1,
            "model.test_cfg.score_thr": 0.0,
        },
    )
    model = build_model(config)
    batch = model.data_preprocessor(random_batch(model, batch_size=1, size=(128, 128)), training=False)
    model.eval()
    head = model.bbox_head
    # Some places pass the filter, others do not.
    head.conv_loc.weight.data = random(*head.conv_loc.weight.shape, dtype=torch.float32)
    torch.nn.init.zeros_(head.conv_loc.bias)
    head.loc_filter_thr = 0.5
    with torch.no_grad():
        predictions = model(**batch, mode="predict")
        # In float64: how a sum is rounded depends on the processor.
        features = [level.double() for level in model.extract_feat(batch["inputs"])]
        head.double()
        masked = head(features)
        head.training = True  # nothing is left out
        everywhere = head(features)
    shares = []
    for level in range(len(features)):
        mask = masked[3][level].sigmoid() >= head.loc_filter_thr
        shares.append(mask.double().mean())
        for kind in (0, 1):  # classes, boxes
            torch.testing.assert_close(masked[kind][level], everywhere[kind][level] * mask)
    assert 0.01 < min(shares[:2]) < max(shares[:2]) < 0.99
    assert len(predictions[0].pred_instances) > 0
