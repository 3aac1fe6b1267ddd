"""What a pack says of itself, and how one is written and read as a whole."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from wrs_mm import __version__
from wrs_mm.bench.packs.archive import read_archive, write_archive
from wrs_mm.bench.packs.contents import RunContent, unpacked
from wrs_mm.bench.runs.records import Identity, Result
from wrs_mm.bench.runs.work_dir import Listed
from wrs_mm.errors import PlanError

_MANIFEST, _PLAN, _RUNS = "pack.json", "plan.yaml", "runs"


class Manifest(BaseModel):
    """``pack.json``, a pack's first entry.

    Attributes:
        made_by: The version of wrs-mm.
        plan: The runs of the plan, packed or not, and what else the work dir has written down of it.
        packed: The ids of the runs in the pack, sorted.
    """

    model_config = ConfigDict(extra="forbid")

    made_by: str = __version__
    plan: Listed
    packed: list[str]


class Pack:
    """A pack that was read once from end to end, and found whole.

    Args:
        path: The file.

    Attributes:
        path: The file.
        manifest: What it says of itself.
        text: The plan as it was written; None where the work dir had none.
        results: What the runs in it are, and what came out of them.

    Raises:
        PlanError: It is damaged, or no pack.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        entries = read_archive(path)
        name, head = next(entries, ("", b""))
        if name != _MANIFEST:
            raise PlanError(f"{path} is no pack of wrs-mm; give a file that `wrs-mm bench pack` wrote")
        try:
            self.manifest = Manifest.model_validate_json(head)
        except ValidationError:
            raise PlanError(f"{path} is of another version of wrs-mm, or damaged; pack it again") from None
        # Reading on checks every run.
        self.text: bytes | None = None
        self.results: list[tuple[Identity, Result]] = []
        for folder, files in _by_folder(entries):
            if folder:
                content = self._run(folder, files)
                self.results.append((content.identity, content.result))
            elif set(files) == {_PLAN}:
                self.text = files[_PLAN]
            else:
                raise PlanError(f"{path} is no pack of wrs-mm: it holds {min(files)}")
        if [identity.spec.id for identity, _ in self.results] != self.manifest.packed:
            raise PlanError(f"{path} does not hold the runs that it lists; pack it again")

    def runs(self) -> Iterator[RunContent]:
        """The runs in it, read one after the other."""
        for folder, files in _by_folder(read_archive(self.path)):
            if folder:
                yield self._run(folder, files)

    def _run(self, folder: str, files: dict[str, bytes]) -> RunContent:
        try:
            content = unpacked(files)
        except ValueError as error:
            raise PlanError(f"{self.path}: {folder} is not a run's folder: {error}") from None
        spec = content.identity.spec
        if folder != f"{_RUNS}/{spec.id}" or spec.id not in {run.id for run in self.manifest.plan.runs}:
            raise PlanError(f"{self.path}: {folder} holds another run than it is named after")
        return content


def write_pack(path: Path, manifest: Manifest, text: bytes | None, runs: Iterable[RunContent]) -> None:
    """Write a pack, whole or not at all: the same bytes for the same content.

    Args:
        path: The file.
        manifest: What it says of itself.
        text: The plan as it was written.
        runs: Those that ``manifest.packed`` lists, in its order.
    """

    def entries() -> Iterator[tuple[str, bytes]]:
        yield _MANIFEST, (manifest.model_dump_json(indent=1) + "\n").encode()
        if text is not None:
            yield _PLAN, text
        for run in runs:
            for name, content in run.packed().items():
                yield f"{_RUNS}/{run.identity.spec.id}/{name}", content

    write_archive(path, entries())


def _by_folder(entries: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The entries of each run's folder, by the names that they have there; others in the folder ``""``."""

    def folder(entry: tuple[str, bytes]) -> str:
        parts = entry[0].split("/")
        return "/".join(parts[:2]) if parts[0] == _RUNS and len(parts) > 2 else ""

    for name, group in itertools.groupby(entries, folder):
        yield name, {entry.removeprefix(f"{name}/") if name else entry: content for entry, content in group}
