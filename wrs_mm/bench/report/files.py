"""The files of a report in a work dir."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from wrs_mm.bench.report.formats import escape_markdown, to_latex, to_markdown
from wrs_mm.bench.report.tables import CHECKPOINTS, Table, comparisons, over_images, sensitivities
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.over_images import COLUMNS, Trained, image_intervals, trained_runs
from wrs_mm.bench.statistics.over_seeds import summarize
from wrs_mm.bench.statistics.over_sweeps import sweeps
from wrs_mm.bench.statistics.results import gather_work_dir, read_results, write_results
from wrs_mm.files import write_text

IMAGES = "images.csv"
"""The intervals over images; also what a second report takes them from."""


class Report(NamedTuple):
    """What a report is made of.

    Attributes:
        results: ``results.csv``.
        summaries: By checkpoint, over seeds; of ``best`` only where runs have one.
        sweeps: By checkpoint, the best values of swept options.
        images: The intervals over validation images.
        trained: The runs that are done, with their evaluations; empty where nobody asked for them.
        notes: What a reader should know: which runs have no usable predictions, and why.
    """

    results: pd.DataFrame
    summaries: dict[str, pd.DataFrame]
    sweeps: dict[str, pd.DataFrame]
    images: pd.DataFrame
    trained: list[Trained]
    notes: list[str]

    def comparisons(self) -> list[Table]:
        """The tables over seeds, each of one checkpoint."""
        return [table for summary in self.summaries.values() for table in comparisons(summary)]

    def tables(self) -> list[Table]:
        """All tables."""
        found = [*self.comparisons(), *over_images(self.images)]
        return found + [table for swept in self.sweeps.values() for table in sensitivities(swept)]


def collect(
    work_dir: WorkDir, with_images: bool = False, tell: Callable[[str], None] = lambda _: None
) -> Report:
    """Gather the results of a work dir, write ``results.csv``, and summarize it.

    Args:
        work_dir: The work dir.
        with_images: Also compare the runs over validation images, which takes a while the first time;
            otherwise what an earlier report found is shown.
        tell: Hears what takes a while.
    """
    path = work_dir.path / "results.csv"
    write_results(gather_work_dir(work_dir), path)
    results = read_results(path)
    checkpoints = [name for name in CHECKPOINTS if name == "last" or (results["checkpoint"] == name).any()]
    known = _read_images(work_dir.path / IMAGES)
    trained: list[Trained] = []
    notes: list[str] = []
    if with_images:
        trained, notes = trained_runs(work_dir)
        known = image_intervals(trained, known, tell=tell)
        write_text(work_dir.path / IMAGES, known.to_csv(index=False, lineterminator="\n"))
    return Report(
        results=results,
        summaries={name: summarize(results, name) for name in checkpoints},
        sweeps={name: sweeps(results, name) for name in checkpoints},
        images=known[known["run"].isin(set(results["run"]))],
        trained=trained,
        notes=notes,
    )


def _read_images(path: Path) -> pd.DataFrame:
    text = ["recipe", "task", "optimizer", "regularizer", "options", "metric", "run", "baseline_run"]
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys([*text, "fingerprint"], str), keep_default_na=False)
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return pd.DataFrame(columns=list(COLUMNS))
    if list(frame.columns) != list(COLUMNS):
        return pd.DataFrame(columns=list(COLUMNS))
    frame["learning_rate"] = pd.to_numeric(frame["learning_rate"])
    return frame


def write_tables(work_dir: WorkDir, report: Report) -> None:
    """Write ``table.md``, ``table.csv``, ``table.tex``; the last two for the best checkpoints too.

    The CSV files are the summaries of all metrics, not only the main ones, with all digits. Last and best
    checkpoints never share a table: the best ones' are ``table_best.csv`` and ``table_best.tex``.
    """
    tables = report.tables()
    parts = [f"# {escape_markdown(work_dir.name)}", *(to_markdown(table) for table in tables)]
    if not tables:
        parts.append("No run has a result yet.")
    write_text(work_dir.path / "table.md", "\n\n".join(parts) + "\n")
    for checkpoint, summary in report.summaries.items():
        stem = "table" if checkpoint == "last" else f"table_{checkpoint}"
        write_text(work_dir.path / f"{stem}.csv", summary.to_csv(index=False, lineterminator="\n"))
        own = comparisons(summary) + (over_images(report.images) if checkpoint == "last" else [])
        own += sensitivities(report.sweeps[checkpoint])
        text = "\n\n".join(["% Needs \\usepackage{booktabs}.", *(to_latex(table) for table in own)])
        write_text(work_dir.path / f"{stem}.tex", text + "\n")
