"""The folder of a benchmark: its runs, its plan, its tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.folder import Run
from wrs_mm.errors import PlanError
from wrs_mm.files import write_json


class WorkDir:
    """A benchmark's folder: ``plan.json``, which lists its runs, ``runs/``, and the files named below.

    Args:
        path: The folder. Nothing is made before :meth:`register`.

    Attributes:
        path: The folder.
        plan: ``plan.yaml``, the plan as it was written.
        results: ``results.csv``, the results of all runs.
        images: ``images.csv``, the intervals over images; also what a second report takes them from.
        table: ``table.md``, all tables.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan = path / "plan.yaml"
        self.results = path / "results.csv"
        self.images = path / "images.csv"
        self.table = path / "table.md"
        self._listed = path / "plan.json"

    def check(self, name: str) -> None:
        """Check that this folder may hold the benchmark ``name``.

        Raises:
            PlanError: It holds another benchmark, or other files.
        """
        if self.path.exists() and not self.path.is_dir():
            raise PlanError(f"{self.path} is a file; give a folder as --work-dir")
        if self.is_registered():
            owner = self._load()[0]
            if owner != name:
                raise PlanError(
                    f"{self.path} belongs to the plan {owner!r}, not {name!r}; use another --work-dir"
                )
        elif self.path.exists() and any(p.name != ".lock" for p in self.path.iterdir()):
            raise PlanError(f"{self.path} holds other files; use an empty or a new --work-dir")

    def is_registered(self) -> bool:
        """Whether the folder is that of a benchmark yet."""
        return self._listed.exists()

    def register(self, name: str, specs: list[RunSpec]) -> None:
        """Write down which runs belong to the benchmark now."""
        content = {"name": name, "runs": [spec.model_dump(mode="json") for spec in specs]}
        write_json(self._listed, content)

    def listing(self) -> dict[str, Any]:
        """All that :meth:`register` wrote, for :meth:`restore` in another folder.

        Raises:
            PlanError: The folder is not the work dir of a benchmark.
        """
        self._load()
        listing: dict[str, Any] = json.loads(self._listed.read_text(encoding="utf-8"))
        return listing

    def restore(self, listing: Mapping[str, Any]) -> None:
        """Write down what :meth:`listing` returned, there or elsewhere."""
        write_json(self._listed, listing)

    def _load(self) -> tuple[str, list[RunSpec]]:
        try:
            content = json.loads(self._listed.read_text(encoding="utf-8"))
            return content["name"], [RunSpec.model_validate(run) for run in content["runs"]]
        except FileNotFoundError:
            raise PlanError(
                f"{self.path} is not the work dir of a benchmark; give that of a bench run"
            ) from None
        except (OSError, ValueError, KeyError, TypeError):
            raise PlanError(f"{self._listed} is damaged; run `wrs-mm bench run` again") from None

    @property
    def name(self) -> str:
        """The plan's name."""
        return self._load()[0]

    def specs(self) -> list[RunSpec]:
        """The runs that belong to the benchmark."""
        return self._load()[1]

    def run(self, spec: RunSpec) -> Run:
        """The folder of one run."""
        return Run(self.path / "runs" / spec.id)

    def lock(self) -> FileLock:
        """The lock that `bench run` holds."""
        return FileLock(self.path / ".lock")
