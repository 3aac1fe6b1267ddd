"""``wrs-mm data``: what is made where; ``data check`` is tested in tests/datasets/test_check.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.cli import data, main


@pytest.mark.parametrize(
    ("words", "dataset"),
    [
        *((["data", "make"], name) for name in data.MAKERS),
        *((["data"], n) for n in ("mini", "real", "standin")),
    ],
)
def test_each_set_is_made_below_the_root_and_its_folders_are_printed(
    dataset: str, words: list[str], monkeypatch, capsys
):
    monkeypatch.setitem(data.MAKERS, dataset, lambda root: [root / dataset, root / "other"])
    assert main.main([*words, dataset, "--root", "there"]) == 0
    assert capsys.readouterr().out == f"there/{dataset}\nthere/other\n"


def test_the_root_is_data_unless_said_otherwise(monkeypatch, capsys):
    monkeypatch.setitem(data.MAKERS, "mini", lambda root: [root])
    assert main.main(["data", "make", "mini"]) == 0
    assert Path(capsys.readouterr().out.strip()) == Path("data")


def test_a_root_that_cannot_be_written_is_one_line_and_status_2(tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    root = tmp_path / "file" / "data"
    assert main.main(["data", "make", "mini", "--root", str(root)]) == 2
    err = capsys.readouterr().err
    assert f"--root {root}: cannot be written (Not a directory)" in err and err.count("\n") == 1


def test_a_set_that_cannot_be_split_in_its_place_is_one_line_and_status_2(tmp_path, monkeypatch, capsys):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(data.tune_split, "split", refuse)
    monkeypatch.setattr(data.os, "access", lambda *_: False)
    assert main.main(["data", "split", "coco", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert f"{tmp_path}: cannot be written (Permission denied)" in err and err.count("\n") == 1
