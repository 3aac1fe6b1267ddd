"""A detector's predictions as columns: what mmdet writes comes back byte for byte, and is far smaller."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import numpy as np
import pytest
from mmdet.evaluation import CocoMetric

from wrs_mm.bench.packs.detections import from_columns, to_columns


def _written(folder: Path, images: int, masks: bool = False, most: int = 30) -> Path:
    """What mmdet's metric writes of made-up detections, some of them cut off at the border."""
    rng = np.random.default_rng(0)
    metric = CocoMetric(metric="bbox")
    metric.cat_ids = [1, 5, 17]
    results = []
    for image in range(images):
        count = int(rng.integers(0, most + 1))
        first, size = rng.uniform(-5, 90, (count, 2)), rng.uniform(1, 60, (count, 2))
        result = {
            "img_id": 1000 + 7 * image,
            "bboxes": np.concatenate([first, first + size], 1).clip(0, 128).astype(np.float32),
            "scores": rng.beta(1, 4, count).astype(np.float32),
            "labels": rng.integers(0, 3, count),
        }
        if masks:
            result["masks"] = [{"size": [128, 128], "counts": b"abc"} for _ in range(count)]
        results.append(result)
    kind = "segm" if masks else "bbox"
    return Path(metric.results2json(results, str(folder / "val"))[kind])


def test_what_mmdet_writes_comes_back_byte_for_byte(tmp_path):
    text = _written(tmp_path, 200).read_bytes()
    columns = to_columns(text)
    assert columns is not None
    assert from_columns(columns) == text
    assert len(json.loads(text)) > 2000


def test_columns_take_less_than_half_of_the_compressed_text(tmp_path):
    text = _written(tmp_path, 200).read_bytes()
    assert len(lzma.compress(to_columns(text))) < len(lzma.compress(text)) / 2


def test_a_network_that_found_nothing_comes_back(tmp_path):
    text = _written(tmp_path, 3, most=0).read_bytes()
    assert text == b"[]"
    assert from_columns(to_columns(text)) == text


def test_what_would_not_come_back_has_no_columns(tmp_path):
    entry = {"image_id": 1, "bbox": [0.5, 1.0, 2.0, 3.0], "score": 0.5, "category_id": 1}
    assert to_columns(json.dumps([entry]).encode()) is not None
    for other in (
        {**entry, "score": 0.1},  # no 32-bit number
        {**entry, "bbox": [0.1, 1.0, 2.0, 3.0]},
        {**entry, "bbox": [1, 1, 2, 3]},
        {**entry, "image_id": "a"},
        {**entry, "image_id": 2**70},
        {**entry, "more": 1},
        dict(reversed(entry.items())),
        [entry],
        None,
    ):
        assert to_columns(json.dumps([other]).encode()) is None
    assert to_columns(_written(tmp_path, 9, masks=True).read_bytes()) is None
    assert to_columns(json.dumps([entry], indent=1).encode()) is None
    assert to_columns(b'[{"image_id": 1') is None


def test_other_files_are_no_columns(tmp_path):
    np.savez(tmp_path / "a.npz", score=np.ones(3))
    np.savez(tmp_path / "b.npz", score=np.array([{}]))
    for packed in (b"", b"PK", *(path.read_bytes() for path in sorted(tmp_path.iterdir()))):
        with pytest.raises(ValueError, match=r".*"):
            from_columns(packed)
