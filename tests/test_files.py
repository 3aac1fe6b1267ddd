"""Files are either whole or absent."""

from __future__ import annotations

import pytest

from wrs_mm.files import open_atomically, remove_leftovers, replace_folder, write_folder, write_text


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "file"
    with open_atomically(path, "wb") as stream:
        stream.write(b"abc")
        assert not path.exists()
    assert path.read_bytes() == b"abc"


def test_a_file_that_could_not_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_folder_replaces_another_as_a_whole(tmp_path):
    write_folder(tmp_path / "folder", {"a/b/c": b"1", "d": b"2"})
    assert (tmp_path / "folder" / "a" / "b" / "c").read_bytes() == b"1"
    write_folder(tmp_path / "folder", {"d": b"3"})
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["d"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_folder_that_could_not_be_written_leaves_the_old_one(tmp_path):
    write_folder(tmp_path / "folder", {"d": b"2"})
    with pytest.raises(OSError, match=r".*"):
        write_folder(tmp_path / "folder", {"d": b"3", "d/below a file": b""})
    assert (tmp_path / "folder" / "d").read_bytes() == b"2"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_half_files_of_a_killed_writer_are_removed_and_nothing_else(tmp_path):
    for name in (".iter_5.pth.17.tmp", ".result.json.abc.tmp", "iter_5.pth", ".lock"):
        (tmp_path / name).write_text("")
    (tmp_path / ".run.17.new.tmp" / "below").mkdir(parents=True)
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "iter_5.pth"]


def test_a_folder_that_could_not_be_replaced_is_back_in_its_place(tmp_path):
    write_folder(tmp_path / "folder", {"a": b"1"})
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "nothing", tmp_path / "folder", tmp_path / "old")
    assert (tmp_path / "folder" / "a").read_bytes() == b"1"
    assert not (tmp_path / "old").exists()
