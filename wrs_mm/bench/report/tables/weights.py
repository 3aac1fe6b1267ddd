"""The table of what training did to the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wrs_mm.bench.report.tables.base import Column, Row, Table, TableCell, effect_cell, mean_cell, ratio_cell
from wrs_mm.bench.statistics.over_seeds import Effect
from wrs_mm.bench.statistics.weights import ArmWeights


def weights_table(where: str, rows: Sequence[ArmWeights]) -> Table | None:
    """Arm by arm; None where nothing was measured.

    Args:
        where: The recipe.
        rows: Its arms.
    """
    if not rows:
        return None
    watched = any(one.norm.seeds for one in rows)
    noisy = any(not math.isnan(one.noise_end[0]) for one in rows)
    columns = [Column("arm"), Column("seeds", numeric=True)]
    notes = []
    if watched:
        columns += [
            Column("norm, end over start", numeric=True),
            Column("effective learning rate, over the baseline's", numeric=True),
            Column("angular update, over the baseline's", numeric=True),
        ]
        notes.append(
            "Norms, effective learning rates and angular updates: geometric means over weights, and over the "
            "training."
        )
    if noisy:
        columns += [
            Column("noise at the start, %", numeric=True),
            Column("at the end", numeric=True),
            Column("Δ to the baseline's", numeric=True),
        ]
        notes.append(
            "Noise: the share of the filters' energy outside what the patches of some training images span, "
            "which no gradient reaches; mean ± standard deviation over seeds."
        )
    return Table(
        f"{where}: what training did to the weights",
        f"{' '.join(notes)} Brackets: 95 % intervals over seeds from three on, paired with the baseline's.",
        columns,
        [Row(one.arm, _cells(one, watched, noisy)) for one in rows],
    )


def _cells(one: ArmWeights, watched: bool, noisy: bool) -> list[TableCell]:
    cells = [TableCell(one.arm), TableCell(str(one.seeds), one.seeds)]
    if watched:
        others = (
            [TableCell("baseline")] * 2 if one.is_baseline else [ratio_cell(one.rate), ratio_cell(one.turn)]
        )
        cells += [ratio_cell(one.norm), *others]
    if noisy:
        last = TableCell("baseline") if one.is_baseline else effect_cell(_percent(one.noise))
        cells += [mean_cell(100 * mean, 100 * sd) for mean, sd in (one.noise_start, one.noise_end)]
        cells.append(last)
    return cells


def _percent(one: Effect) -> Effect:
    return one._replace(value=100 * one.value, low=100 * one.low, high=100 * one.high)
