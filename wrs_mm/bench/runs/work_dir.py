"""The folder of a benchmark: its runs, its plan, its tables."""

from __future__ import annotations

import functools
import os
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock
from pydantic import BaseModel, SerializerFunctionWrapHandler, model_serializer

from wrs_mm.bench.plan.backbones import STORE
from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.plan.tuning import Tuning
from wrs_mm.bench.runs.folder import Run
from wrs_mm.errors import PlanError
from wrs_mm.files import write_json


class Listed(BaseModel):
    """``plan.json``.

    Attributes:
        name: The plan's.
        runs: Its runs, as far as they are known.
        tuning: How its arms are tuned.
        to_come: How many runs will be known when trials are through.
        store: The way from the work dir to the pretrainings, where it has any.
    """

    name: str
    runs: list[RunSpec]
    tuning: Tuning | None = None
    to_come: int = 0
    store: str | None = None

    @model_serializer(mode="wrap")
    def _without_unsaid(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        return {key: value for key, value in content.items() if key != "store" or value is not None}


class WorkDir:
    """A benchmark's folder: ``plan.json``, which lists its runs, ``runs/``, and the files named below.

    Args:
        path: The folder. Nothing is made before :meth:`register`.
        store: Where its pretrainings are; None for where they were when it was last run.

    Attributes:
        path: The folder.
        plan: ``plan.yaml``, the plan as it was written.
        results: ``results.csv``, the results of all runs.
        images: ``images.csv``, the intervals over images; also what a second report takes them from.
        table: ``table.md``, all tables.
    """

    def __init__(self, path: Path, store: Path | None = None) -> None:
        self.path = path
        self._given_store = store
        self.plan = path / "plan.yaml"
        self.results = path / "results.csv"
        self.images = path / "images.csv"
        self.table = path / "table.md"
        self._file = path / "plan.json"

    def check(self, name: str) -> None:
        """Check that this folder may hold the benchmark ``name``.

        Raises:
            PlanError: It holds another benchmark, or other files.
        """
        if self.path.exists() and not self.path.is_dir():
            raise PlanError(f"{self.path} is a file; give a folder as --work-dir")
        if self.is_registered():
            owner = self.listed().name
            if owner != name:
                raise PlanError(
                    f"{self.path} belongs to the plan {owner!r}, not {name!r}; use another --work-dir"
                )
        elif self.path.exists() and any(p.name != ".lock" for p in self.path.iterdir()):
            raise PlanError(f"{self.path} holds other files; use an empty or a new --work-dir")

    def register(
        self, name: str, specs: list[RunSpec], tuning: Tuning | None = None, to_come: int = 0
    ) -> None:
        """Write down which runs belong to the benchmark now.

        Args:
            name: The plan's.
            specs: Its runs, as far as they are known.
            tuning: How its arms are tuned.
            to_come: How many runs will be known when trials are through.
        """
        self.restore(Listed(name=name, runs=specs, tuning=tuning, to_come=to_come))

    def restore(self, listed: Listed) -> None:
        """Write down what :meth:`listed` returned, of this folder or of another."""
        if any(spec.pretraining for spec in listed.runs):
            # Relative, so that both may move together.
            store = Path(os.path.relpath(self._store.resolve(), self.path.resolve())).as_posix()
            listed = listed.model_copy(update={"store": store})
        write_json(self._file, listed.model_dump(mode="json"))

    def is_registered(self) -> bool:
        """Whether the folder is that of a benchmark yet."""
        return self._file.exists()

    def listed(self) -> Listed:
        """What is written down of the benchmark.

        Raises:
            PlanError: The folder is not the work dir of a benchmark, or the file is damaged.
        """
        try:
            return Listed.model_validate_json(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise PlanError(
                f"{self.path} is not the work dir of a benchmark; give that of a bench run"
            ) from None
        except (OSError, ValueError):
            raise PlanError(f"{self._file} is damaged; run `wrs-mm bench run` again") from None

    @property
    def name(self) -> str:
        """The plan's name."""
        return self.listed().name

    def specs(self) -> list[RunSpec]:
        """The runs that belong to the benchmark, as far as they are known."""
        return self.listed().runs

    def tuning(self) -> Tuning | None:
        """How the benchmark's arms are tuned; None where they are compared as they are."""
        return self.listed().tuning

    def to_come(self) -> int:
        """How many runs will be known when trials are through."""
        return self.listed().to_come

    def run(self, spec: RunSpec) -> Run:
        """The folder of one run; that of a pretraining is not in the work dir, since all plans share it."""
        if spec.pretraining:
            return Run(self._store / spec.pretraining, spec.id)
        start = spec.start
        if start is None or start.pretraining is None or start.checkpoint is None:
            return Run(self.path / "runs" / spec.id)
        address = PurePosixPath(start.checkpoint).parent.name
        return Run(self.path / "runs" / spec.id, after=Run(self._store / address))

    @functools.cached_property
    def _store(self) -> Path:
        if self._given_store is not None:
            return self._given_store
        written = self.listed().store if self.is_registered() else None
        return STORE if written is None else self.path / written

    def lock(self) -> FileLock:
        """The lock that `bench run` holds."""
        return FileLock(self.path / ".lock")
