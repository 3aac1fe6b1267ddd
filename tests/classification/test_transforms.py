"""torchvision's transforms within a pipeline give what torchvision gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from wrs_mm.classification import PackClassInputs, TorchvisionTransforms
from wrs_mm.errors import ConfigError

BGR = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_the_same_pixels_as_torchvision_on_the_rgb_image() -> None:
    both = [transforms.RandomResizedCrop(size=24), transforms.ColorJitter(hue=0.4)]
    torch.manual_seed(3)
    expected = Image.fromarray(BGR[..., ::-1])
    for transform in both:
        expected = transform(expected)
    ours = TorchvisionTransforms(
        [{"type": "RandomResizedCrop", "size": 24}, {"type": "ColorJitter", "hue": 0.4}]
    )
    torch.manual_seed(3)
    results = ours({"img": BGR.copy()})
    assert np.array_equal(results["img"][..., ::-1], np.asarray(expected))
    assert results["img_shape"] == (24, 24)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"type": "RandomCrops"}, "has no class 'RandomCrops'"),
        ({"type": "functional"}, "has no class 'functional'"),
        ({"type": "RandomCrop", "sizes": 3}, "transforms.RandomCrop: "),
    ],
)
def test_a_mistake_in_the_config_is_one_line(entry: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TorchvisionTransforms([entry])


def test_packed_is_what_the_model_takes() -> None:
    packed = PackClassInputs()({"img": BGR, "gt_label": 7, "img_path": "a.jpg"})
    assert packed["inputs"].dtype == torch.uint8
    assert np.array_equal(packed["inputs"].numpy(), BGR.transpose(2, 0, 1))
    assert packed["data_samples"].gt_label.tolist() == [7] and packed["data_samples"].img_path == "a.jpg"
    assert "gt_label" not in PackClassInputs()({"img": BGR})["data_samples"]
