"""The file: the same bytes for the same content, and nothing but whole, plain files read from it."""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

import pytest

from wrs_mm.bench.packs.archive import read_archive, write_archive
from wrs_mm.errors import PlanError

ENTRIES = [("a.json", b"{}"), ("runs/x/long" + "g" * 150, b"\0" * 3000), ("runs/x/empty", b"")]


def test_what_is_written_is_read_again_in_its_order(tmp_path):
    write_archive(tmp_path / "a", ENTRIES)
    assert list(read_archive(tmp_path / "a")) == ENTRIES


def test_the_same_content_has_the_same_bytes_and_no_trace_of_the_machine(tmp_path):
    write_archive(tmp_path / "a", ENTRIES)
    write_archive(tmp_path / "b", iter(ENTRIES))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with tarfile.open(tmp_path / "a") as archive:
        facts = {(e.mtime, e.uid, e.gid, e.uname, e.gname, e.mode) for e in archive}
    assert facts == {(0, 0, 0, "", "", 0o644)}


def test_wherever_it_is_cut_off_or_damaged_it_is_refused(tmp_path):
    write_archive(tmp_path / "a", ENTRIES)
    whole = (tmp_path / "a").read_bytes()
    for place in range(0, len(whole), 3):
        changed = bytes([whole[place] ^ 0x10])
        for damaged in (whole[:place], whole[:place] + changed + whole[place + 1 :]):
            (tmp_path / "b").write_bytes(damaged)
            with pytest.raises(PlanError, match="damaged, or no pack"):
                list(read_archive(tmp_path / "b"))


def _hostile(name: str, kind: bytes, link: str = "") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:xz") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, link
        archive.addfile(entry)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        _hostile("../outside", tarfile.REGTYPE),
        _hostile("runs/../../outside", tarfile.REGTYPE),
        _hostile("/tmp/outside", tarfile.REGTYPE),
        _hostile("runs\\..\\outside", tarfile.REGTYPE),
        _hostile("runs//twice", tarfile.REGTYPE),
        _hostile("link", tarfile.SYMTYPE, "/etc/passwd"),
        _hostile("link", tarfile.LNKTYPE, "../../x"),
        _hostile("folder", tarfile.DIRTYPE),
        _hostile("pipe", tarfile.FIFOTYPE),
        _hostile("device", tarfile.CHRTYPE),
    ],
)
def test_anything_but_plain_files_below_is_refused(content, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(PlanError, match="is no pack of wrs-mm: it holds"):
        list(read_archive(tmp_path / "a"))


@pytest.mark.parametrize("content", [b"", b"hello\n" * 99, lzma.compress(b"no tar" * 999)])
def test_another_kind_of_file_is_refused(content, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(PlanError, match="damaged, or no pack"):
        list(read_archive(tmp_path / "a"))


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_is_no_file_is_refused(name: str, tmp_path: Path):
    with pytest.raises(PlanError, match="is no file"):
        list(read_archive(tmp_path / name))
