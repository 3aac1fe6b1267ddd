"""mini-shapes is a function of its seed, has every class as often, and shows what shape_outlines.py says."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from shapes import COUNTS, render_few

from wrs_mm.datasets import mini, mini_detection, mini_shapes, render_shapes, require_dataset
from wrs_mm.datasets.shape_outlines import OUTLINES
from wrs_mm.errors import DatasetError


def members(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def drawn(outlines: tuple[NDArray[np.float64], ...], turn: float = 0.0, mirrored: bool = False) -> NDArray:
    """The pixels of a shape in the middle of 81 × 81, filled to the same height and width."""
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points = [outline * ([-1, 1] if mirrored else [1, 1]) @ rotation for outline in outlines]
    low, high = np.concatenate(points).min(axis=0), np.concatenate(points).max(axis=0)
    placed = [np.rint((p - low) / (high - low).max() * 72 + 4).astype(np.int32) for p in points]
    canvas = np.zeros((81, 81), np.uint8)
    cv2.fillPoly(canvas, placed, 1)
    return canvas.astype(bool)


def overlap(one: NDArray, other: NDArray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_it_is_as_large_as_it_says() -> None:
    assert mini_shapes.SPLITS["train"] >= 20_000 and len(mini_shapes.CLASSES) == 20
    assert all(count % 20 == 0 for count in mini_shapes.SPLITS.values())


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others(tmp_path: Path) -> None:
    one, two = render_few(tmp_path / "one"), render_few(tmp_path / "two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini_shapes, "SPLITS", COUNTS)
        [other] = render_shapes(tmp_path / "other", seed=1)
    for split in COUNTS:
        assert (one / f"{split}.zip").read_bytes() == (two / f"{split}.zip").read_bytes()
        mine, its = members(one / f"{split}.zip"), members(other / f"{split}.zip")
        assert mine.keys() == its.keys() and all(mine[name] != its[name] for name in mine)


def test_images_are_all_different_and_every_class_comes_as_often(tmp_path: Path) -> None:
    folder = render_few(tmp_path)
    found = [members(folder / f"{split}.zip") for split in COUNTS]
    images = [content for split in found for content in split.values()]
    assert len(set(images)) == len(images) == sum(COUNTS.values())
    for split, count in zip(found, COUNTS.values(), strict=True):
        assert Counter(name.split("/")[0] for name in split) == dict.fromkeys(OUTLINES, count // 20)
    assert all(Image.open(io.BytesIO(content)).size == (64, 64) for content in images)


def test_a_longer_split_begins_with_the_images_of_the_shorter(tmp_path: Path) -> None:
    before = members(render_few(tmp_path / "one") / "train.zip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini_shapes, "SPLITS", {**COUNTS, "train": 60})
        [folder] = render_shapes(tmp_path / "two")
    after = members(folder / "train.zip")
    assert len(after) == 60 and before.items() <= after.items()


def test_a_set_that_is_complete_stays_and_a_split_that_is_missing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = render_few(tmp_path)
    made: list[str] = []
    render = mini_shapes.render_split

    def record(place: Path, split: str, *rest: object) -> None:
        made.append(split)
        render(place, split, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(mini_shapes, "render_split", record)
    render_few(tmp_path)
    assert made == []
    before = (folder / "val.zip").read_bytes()
    (folder / "val.zip").unlink()
    render_few(tmp_path)
    assert made == ["val"] and (folder / "val.zip").read_bytes() == before


def test_a_recipe_needs_it_of_this_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = render_few(tmp_path / "data")
    dataset = {"data_root": str(folder), "data_prefix": {"img_path": "train"}}
    require_dataset({"train_dataloader": {"dataset": dataset}})
    monkeypatch.setattr(mini, "VERSION", mini.VERSION + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini_shapes, "SPLITS", COUNTS)
        [folder] = render_shapes(tmp_path / "data")
    with pytest.raises(DatasetError, match="another version of wrs-mm; run `wrs-mm data make shapes --root"):
        require_dataset({"train_dataloader": {"dataset": dataset}})
    (folder / "train.zip").unlink()
    monkeypatch.undo()
    (folder / "wrs-mm.json").write_text(json.dumps({"name": "mini-shapes", "version": mini.VERSION}))
    with pytest.raises(DatasetError, match="train does not exist; run `wrs-mm data make shapes"):
        require_dataset({"train_dataloader": {"dataset": dataset}})


# --- outlines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OUTLINES)
def test_an_outline_is_about_as_large_as_its_circle(name: str) -> None:
    points = np.concatenate(OUTLINES[name])
    radii = np.hypot(*points.T)
    assert 0.8 < radii.max() < 1.3
    share = drawn(OUTLINES[name]).mean()
    assert 0.1 < share < 0.9


def test_no_outline_is_another_turned_or_mirrored() -> None:
    turns = np.linspace(-0.6, 0.6, 7)
    for one, other in combinations(OUTLINES, 2):
        still = drawn(OUTLINES[one])
        most = max(overlap(still, drawn(OUTLINES[other], turn, m)) for turn in turns for m in (False, True))
        assert most < 0.9, (one, other, most)


def test_no_outline_is_one_of_mini_cocos() -> None:
    turns = np.linspace(-np.pi, np.pi, 25)
    for number, kind in enumerate(mini_detection.CLASSES):
        outlines = (mini_detection.outline(number, 1.0, 0.0),)
        if kind == "ring":
            outlines += (0.55 * outlines[0],)
        still = drawn(outlines)
        for name, own in OUTLINES.items():
            most = max(overlap(still, drawn(own, turn)) for turn in turns)
            assert most < 0.9, (kind, name, most)


def test_an_image_shows_its_class() -> None:
    """Without ground, surface and noise what is drawn is the outline: a share of pixels like its own."""
    shares = {name: drawn(outlines).mean() for name, outlines in OUTLINES.items()}
    for name in ("spiral", "hexagon"):
        rng = np.random.default_rng(0)
        masks = [mini_shapes._place(rng, name, 128) for _ in range(40)]
        filled = np.median([m.sum() / np.ptp(np.argwhere(m), axis=0).prod() for m in masks])
        assert filled == pytest.approx(shares[name] * 81**2 / 72**2, rel=0.35)
