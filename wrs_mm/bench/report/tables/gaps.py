"""The generalization gaps of arms at the end of training."""

from __future__ import annotations

from collections.abc import Mapping

from wrs_mm.bench.report.labels import SPLITS, number
from wrs_mm.bench.report.tables.base import Column, Row, Table, TableCell
from wrs_mm.bench.statistics.learning import Learning


def gap_table(by_scenario: Mapping[str, tuple[str, Mapping[str, Learning]]]) -> Table | None:
    """The metric on train, on tune, and the difference; None where nothing was measured on train.

    Args:
        by_scenario: The metric and the arms' learning curves, by what readers call the scenario.
    """
    body = []
    for where, (metric, by_arm) in by_scenario.items():
        for arm, one in by_arm.items():
            gap = one.gap
            if not gap.seeds:
                continue
            cells = [
                TableCell(arm),
                TableCell(metric),
                TableCell(number(gap.train), gap.train),
                TableCell(number(gap.tune), gap.tune),
                TableCell(f"{number(gap.mean, sign=True)} ± {number(gap.sd)}", gap.mean),
                TableCell(str(gap.seeds), gap.seeds),
            ]
            body.append(Row(arm, cells, where))
    if not body:
        return None
    columns = [Column("regularizer"), Column("metric"), Column("train", numeric=True)]
    columns += [Column(name, numeric=True) for name in (SPLITS["tune"], "gap", "seeds")]
    caption = (
        f"Percent after the last update, on some of the training images and on {SPLITS['tune']}: means over "
        "seeds. Gap: the first minus the second, mean ± standard deviation. It says how far a network fits "
        "the images it was trained on better than others; no arm was chosen or compared by it."
    )
    return Table("Generalization gap", caption, columns, body, keys=2)
