"""The rendered sets are written as a whole or not at all, and are functions of their seed.

What writes them, ``staging.py``, is tested here too.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wrs_mm.datasets import mini, mini_detection, mini_segmentation, render_fresh, render_mini
from wrs_mm.errors import DatasetError


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, tiny_counts: None) -> None:
    render_mini(tmp_path / "one", seed=3)
    render_mini(tmp_path / "two", seed=3)
    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")


def test_another_seed_gives_other_images(tmp_path: Path, tiny_counts: None) -> None:
    render_mini(tmp_path / "one", seed=3)
    render_mini(tmp_path / "two", seed=4)
    one, two = _contents(tmp_path / "one"), _contents(tmp_path / "two")
    assert one.keys() == two.keys()
    assert all(one[name] != two[name] for name in one)


def test_a_fresh_test_split_has_the_files_of_the_set_s_own_and_none_of_its_images(
    tmp_path: Path, tiny_counts: None
) -> None:
    for own, fresh in zip(render_mini(tmp_path), render_fresh(tmp_path), strict=True):
        old, new = _contents(own), _contents(fresh)
        del old["wrs-mm.json"], new["wrs-mm.json"]
        assert new.keys() == {name for name in old if "test" in name}
        assert all(new[name] != old[name] for name in new)
        assert fresh.name.replace("fresh", "mini") == own.name


def test_no_two_images_are_equal(tiny_mini: Path) -> None:
    images = [path.read_bytes() for path in tiny_mini.rglob("*.jpg")]
    images += [path.read_bytes() for path in tiny_mini.rglob("*_leftImg8bit.png")]
    assert len(set(images)) == len(images) == 9 + 6


def test_a_complete_set_is_not_rendered_again(tiny_mini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(mini_detection, "render_split", refuse)
    render_mini(tiny_mini)


def test_the_longer_split_begins_with_the_images_of_the_shorter(
    tiny_mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(mini_detection.SPLITS, "val2017", 5)
    monkeypatch.setitem(mini_segmentation.CITIES, "val", {"c": 4})
    before = _contents(tiny_mini)
    render_mini(tmp_path / "longer")
    after = _contents(tmp_path / "longer")
    images = {name for name in before if name.endswith((".jpg", ".png"))}
    assert len(images) == 9 + 3 * 6
    assert all(before[name] == after[name] for name in images)
    assert len(after) == len(before) + 2 + 3 * 2


@pytest.mark.parametrize("lacking", ["test split", "images of val", "a file"])
def test_what_is_right_of_an_older_set_stays_and_the_rest_is_rendered(
    lacking: str, tmp_path: Path, tiny_counts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    render_mini(tmp_path / "whole")
    with monkeypatch.context() as patch:
        if lacking == "test split":
            patch.delitem(mini_detection.SPLITS, "test2017")
        if lacking == "images of val":
            patch.setitem(mini_detection.SPLITS, "val2017", 1)
        patch.setattr(mini, "VERSION", mini.VERSION - 1)
        render_mini(tmp_path / "older")
    if lacking == "a file":
        (tmp_path / "older/mini-coco/val2017/000000000002.jpg").unlink()
    kept = tmp_path / "older/mini-coco/train2017/000000000001.jpg"
    before = kept.stat()
    rendered = []
    whole = mini_detection.render_split

    def record(folder: Path, split: str, *rest: object) -> None:
        rendered.append(split)
        whole(folder, split, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(mini_detection, "render_split", record)
    render_mini(tmp_path / "older")
    assert rendered == ["test2017" if lacking == "test split" else "val2017"]
    after = kept.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert _contents(tmp_path / "older") == _contents(tmp_path / "whole")


def test_where_files_cannot_be_linked_they_are_copied(
    tmp_path: Path, tiny_mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not here")

    before = _contents(tiny_mini)
    (tiny_mini / "mini-coco/test2017/000000000001.jpg").unlink()
    monkeypatch.setattr(os, "link", refuse)
    render_mini(tiny_mini)
    assert _contents(tiny_mini) == before


def test_images_drawn_otherwise_are_not_taken_over(tiny_mini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mini, "VERSION", mini.VERSION + 1)
    monkeypatch.setattr(mini, "_DRAWN_SINCE", mini.VERSION)
    before = (tiny_mini / "mini-coco/train2017/000000000001.jpg").stat().st_ino
    render_mini(tiny_mini)
    assert (tiny_mini / "mini-coco/train2017/000000000001.jpg").stat().st_ino != before


@pytest.mark.parametrize("step", [0, 1], ids=["the old set goes", "the new one comes"])
def test_a_replacement_that_fails_leaves_the_old_set(
    step: int, tiny_mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _contents(tiny_mini)
    names = sorted(path.name for path in tiny_mini.iterdir())
    replace = os.replace
    calls: list[object] = []

    def fail(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == step + 1:
            raise OSError("disk is gone")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk is gone"):
        render_mini(tiny_mini, seed=1)
    assert _contents(tiny_mini) == before
    assert sorted(path.name for path in tiny_mini.iterdir()) == names


def test_another_seed_replaces_the_set(tiny_mini: Path) -> None:
    before = _contents(tiny_mini)
    render_mini(tiny_mini, seed=1)
    after = _contents(tiny_mini)
    assert before.keys() == after.keys() and before != after


def test_an_interrupted_rendering_leaves_nothing(
    tmp_path: Path, tiny_counts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = mini_detection.render_image
    calls = []

    def fail_at_third(*args: object) -> object:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(mini_detection, "render_image", fail_at_third)
    with pytest.raises(KeyboardInterrupt):
        render_mini(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, tiny_counts: None) -> None:
    (tmp_path / "mini-coco").mkdir()
    (tmp_path / "mini-coco" / "precious.txt").write_text("mine")
    with pytest.raises(DatasetError, match="not written by wrs-mm"):
        render_mini(tmp_path)
    assert (tmp_path / "mini-coco" / "precious.txt").read_text() == "mine"
