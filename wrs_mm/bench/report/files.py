"""The files of a report in a work dir."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from wrs_mm.bench.report.formats import escape_markdown, to_latex, to_markdown
from wrs_mm.bench.report.labels import CHECKPOINTS
from wrs_mm.bench.report.tables.base import Table
from wrs_mm.bench.report.tables.effort import effort_table
from wrs_mm.bench.report.tables.over_images import image_tables
from wrs_mm.bench.report.tables.over_seeds import comparison_tables
from wrs_mm.bench.report.tables.over_sweeps import sweep_tables
from wrs_mm.bench.report.tables.robustness import robustness_table
from wrs_mm.bench.report.tables.trained import trained_tables
from wrs_mm.bench.report.tables.transfer import transfer_tables
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.benchmark import BenchmarkData, read_benchmark, without_trials
from wrs_mm.bench.statistics.evaluations import EvaluatedRun, evaluated_runs
from wrs_mm.bench.statistics.over_images import image_intervals, read_intervals, write_intervals
from wrs_mm.bench.statistics.over_seeds import summarize
from wrs_mm.bench.statistics.over_sweeps import SweptPoints, sweeps, swept_points
from wrs_mm.bench.statistics.results import (
    gather,
    read_results,
    reported,
    same_at_last_and_best,
    write_results,
)
from wrs_mm.bench.statistics.transfer import transfers
from wrs_mm.bench.statistics.tuned import ArmTrials, effort, tuned_arms
from wrs_mm.files import write_text


class Report(NamedTuple):
    """What a report is made of.

    Attributes:
        benchmark: What the work dir holds.
        results: ``results.csv``.
        summaries: By checkpoint, over seeds; of ``best`` only where runs have one.
        sweeps: By checkpoint, the best values of swept options.
        same_as_best: The tasks whose best checkpoints have the numbers of the last ones in every run.
        images: The intervals over images.
        tuned: What tuning found of each arm; empty where a plan tunes none.
        evaluated: The runs that are done, with their evaluations; empty where nobody asked for them.
        notes: What a reader should know: which runs have no usable predictions, and why.
        detailed: Whether it has all that the page shows.
    """

    benchmark: BenchmarkData
    results: pd.DataFrame
    summaries: dict[str, pd.DataFrame]
    sweeps: dict[str, pd.DataFrame]
    same_as_best: set[str]
    images: pd.DataFrame
    tuned: list[ArmTrials]
    evaluated: list[EvaluatedRun]
    notes: list[str]
    detailed: bool = False

    def shown(self, frames: dict[str, pd.DataFrame]) -> list[pd.DataFrame]:
        """Summaries or sweeps, without those of best checkpoints that say again what the last ones' say."""
        return [
            frame if name == "last" else frame[~frame["task"].isin(self.same_as_best)]
            for name, frame in frames.items()
        ]

    def swept_points(self) -> SweptPoints:
        """What was measured along each swept option."""
        found: SweptPoints = {}
        for best in self.sweeps.values():
            found |= swept_points(self.results, best)
        return found

    def comparison(self) -> list[Table]:
        """The tables over seeds, of last checkpoints."""
        return comparison_tables(self.summaries["last"], self.same_as_best, self.tuned)

    def over_seeds(self) -> list[Table]:
        """The tables over seeds, each of one checkpoint."""
        frames = self.shown(self.summaries)
        return [
            table for frame in frames for table in comparison_tables(frame, self.same_as_best, self.tuned)
        ]

    def over_trials(self) -> list[Table]:
        """What trials say of effort and sensitivity; none where details were not asked for."""
        made = [effort_table(self.tuned), robustness_table(self.tuned)] if self.detailed else []
        return [table for table in made if table is not None]

    def over_sweeps(self) -> list[Table]:
        """The tables over sweeps, each of one checkpoint."""
        frames = self.shown(self.sweeps)
        return [table for frame in frames for table in sweep_tables(frame, self.same_as_best)]

    def transfer(self) -> list[Table]:
        """Pretrained with × finetuned with, where a plan says how backbones are pretrained."""
        return [table for one in transfers(self.benchmark.runs) for table in transfer_tables(one)]

    def over_training(self) -> list[Table]:
        """What trainings did to their weights; none where details were not asked for."""
        return trained_tables(without_trials(self.benchmark.runs)) if self.detailed else []

    def tables(self) -> list[Table]:
        """All tables."""
        return [
            *self.transfer(),
            *self.over_seeds(),
            *image_tables(self.images),
            *self.over_trials(),
            *self.over_sweeps(),
            *self.over_training(),
        ]


def collect(
    work_dir: WorkDir, with_images: bool = False, announce: Callable[[str], None] = lambda _: None
) -> Report:
    """Gather the results of a work dir into ``results.csv`` and, with images, ``images.csv``; summarize them.

    Args:
        work_dir: The work dir.
        with_images: Also read what the page shows, and compare the runs over images, which takes
            a while the first time; otherwise what an earlier report found is shown.
        announce: Gets a line on each thing that takes a while.
    """
    benchmark = read_benchmark(work_dir, details=with_images)
    write_results(gather((run.spec, run.result) for run in benchmark.runs if run.result), work_dir.results)
    # Read back, so that the tables show what the file holds: whoever reads it gets the same numbers.
    results = read_results(work_dir.results)
    checkpoints = [name for name in CHECKPOINTS if name in {"last", *reported(results)["checkpoint"]}]
    known = read_intervals(work_dir.images)
    evaluated: list[EvaluatedRun] = []
    notes: list[str] = []
    if with_images:
        evaluated, notes = evaluated_runs(benchmark.runs)
        known = image_intervals(evaluated, known, announce=announce)
        write_intervals(known, work_dir.images)
    return Report(
        benchmark=benchmark,
        results=results,
        summaries={name: summarize(results, name) for name in checkpoints},
        sweeps={name: sweeps(results, name) for name in checkpoints},
        same_as_best=same_at_last_and_best(results),
        images=known[known["run"].isin(set(results["run"]))],
        tuned=tuned_arms(benchmark),
        evaluated=evaluated,
        notes=notes,
        detailed=with_images,
    )


def write_tables(report: Report) -> None:
    """Write ``table.md``, ``table.csv``, ``table.tex``, and ``effort.csv`` of a plan with tuning.

    ``table.csv`` and ``table.tex`` are written for the best checkpoints too.

    The CSV files are the summaries of all metrics, not only the main ones, with all digits. Last and best
    checkpoints never share a table: the best ones' are ``table_best.csv`` and ``table_best.tex``, which hold
    their tables also where ``table.md`` says that they are the same.
    """
    folder = report.benchmark.path
    tables = report.tables()
    parts = [f"# {escape_markdown(report.benchmark.name)}", *(to_markdown(table) for table in tables)]
    if not tables:
        parts.append("No run has a result yet.")
    write_text(WorkDir(folder).table, "\n\n".join(parts) + "\n")
    if report.detailed and report.tuned:
        write_text(folder / "effort.csv", effort(report.tuned).to_csv(index=False, lineterminator="\n"))
    for checkpoint, summary in report.summaries.items():
        stem = "table" if checkpoint == "last" else f"table_{checkpoint}"
        write_text(folder / f"{stem}.csv", summary.to_csv(index=False, lineterminator="\n"))
        own = comparison_tables(summary, tuned=report.tuned) + (
            image_tables(report.images) if checkpoint == "last" else []
        )
        own += report.over_trials() if checkpoint == "last" else []
        own += sweep_tables(report.sweeps[checkpoint])
        text = "\n\n".join(["% Needs \\usepackage{booktabs}.", *(to_latex(table) for table in own)])
        write_text(folder / f"{stem}.tex", text + "\n")
