"""The rendered sets are written as a whole or not at all, and are functions of their seed.

What writes them, ``staging.py``, is tested here too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.datasets import mini_detection, render_mini
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


def test_no_two_images_are_equal(tiny_mini: Path) -> None:
    images = [path.read_bytes() for path in tiny_mini.rglob("*.jpg")]
    images += [path.read_bytes() for path in tiny_mini.rglob("*_leftImg8bit.png")]
    assert len(set(images)) == len(images) == 9 + 6


def test_a_complete_set_is_not_rendered_again(tiny_mini: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("rendered again")

    monkeypatch.setattr(mini_detection, "render_detection", refuse)
    render_mini(tiny_mini)


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
