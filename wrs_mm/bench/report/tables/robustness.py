"""How much of its search space is nearly as good as an arm's best settings."""

from __future__ import annotations

from collections.abc import Sequence

from wrs_mm.bench.report.labels import NONE
from wrs_mm.bench.report.tables.base import Column, Row, ScenarioColumns, Table, TableCell
from wrs_mm.bench.report.tables.settings import row_of
from wrs_mm.bench.statistics.landscape import MIN_TRAINED
from wrs_mm.bench.statistics.over_seeds import MIN_PAIRS
from wrs_mm.bench.statistics.robustness import WITHIN, Share
from wrs_mm.bench.statistics.tuned import ArmTrials


def robustness_table(arms: Sequence[ArmTrials]) -> Table | None:
    """The shares of the search space near the best; None where nothing was measured on test.

    Args:
        arms: All that were tuned.
    """
    arms = [one for one in arms if one.search is not None]
    if not arms:
        return None
    rows = [row_of(one) for one in arms]
    scenario = ScenarioColumns(rows)
    body = []
    for one, row in zip(arms, rows, strict=True):
        shares = [_cell(share) for share in one.near_best] or [TableCell(NONE)] * len(WITHIN)
        searched = TableCell(", ".join(one.space))
        cells = [TableCell(one.label), *scenario.cells(row), searched, *shares]
        body.append(Row(one.label, cells, one.spec.recipe))
    keys = [Column("regularizer"), *scenario.columns(), Column("searched")]
    columns = [*keys, *(Column(f"within {100 * part:.0f} %", numeric=True) for part in WITHIN)]
    caption = (
        "Percent of an arm's own search, as its trials are drawn, where the expected metric on test is at "
        "most so many percent lower than at the settings chosen; in brackets the 95 % interval. From a model "
        "of the metric between the trials. An arm with several settings has to be right in all of them."
    )
    if not all(one.near_best for one in arms):
        caption += (
            f" «{NONE}»: it takes {MIN_TRAINED} trials that did not diverge and {MIN_PAIRS} final runs."
        )
    title = "Sensitivity: how much of the search is near the best"
    return Table(title, caption, columns, body, keys=len(keys))


def _cell(share: Share) -> TableCell:
    interval = f"[{100 * share.low:.0f}, {100 * share.high:.0f}]"
    return TableCell(f"{100 * share.share:.0f} %", share.share, interval=interval)
