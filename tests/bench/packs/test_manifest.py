"""What a pack says of itself must be what is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.bench.packs.archive import read_archive, write_archive
from wrs_mm.bench.packs.manifest import Pack
from wrs_mm.errors import PlanError


def test_a_pack_is_read_as_it_was_written(packed, study):
    pack = Pack(packed)
    assert pack.manifest.plan.name == study.name
    assert pack.manifest.plan.runs == study.specs()
    assert pack.text == study.plan.read_bytes()
    assert [run.identity.spec.id for run in pack.runs()] == pack.manifest.packed
    assert len(pack.manifest.packed) == len(study.specs())


def _without(name: str, entries: dict[str, bytes]) -> dict[str, bytes]:
    return {key: content for key, content in entries.items() if name not in key}


def _renamed(entries: dict[str, bytes]) -> dict[str, bytes]:
    return {key.replace("seg__wd__seed0", "seg__wd__seed7"): content for key, content in entries.items()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: _without("pack.json", e), "is no pack of wrs-mm"),
        (lambda e: {**e, "pack.json": b"{}"}, "of another version of wrs-mm, or damaged"),
        (lambda e: {**e, "more.txt": b""}, r"it holds more\.txt"),
        (lambda e: _without("seg__wd__seed0", e), "does not hold the runs that it lists"),
        (lambda e: _without("seg__wd__seed0/result.json", e), r"seed0 is not a run's folder: result\.json"),
        (_renamed, "runs/seg__wd__seed7 holds another run than it is named after"),
        (lambda e: {}, "is no pack of wrs-mm"),
    ],
)
def test_what_does_not_fit_together_is_refused(change, said, packed, tmp_path: Path):
    write_archive(tmp_path / "a.tar.xz", change(dict(read_archive(packed))).items())
    with pytest.raises(PlanError, match=said):
        Pack(tmp_path / "a.tar.xz")
