"""The matrix of a recipe: pretrained with × finetuned with."""

from __future__ import annotations

import math

from wrs_mm.bench.report.labels import NONE, number, scenario_of
from wrs_mm.bench.report.tables.base import Column, Row, Table, TableCell, effect_cell, mean_cell
from wrs_mm.bench.statistics.transfer import Transfer


def transfer_tables(one: Transfer) -> list[Table]:
    """The matrix with its rows' and columns' effects, and the interaction of both; of one start its norms."""
    if len(one.starts) == 1:
        return [_of_one_start(one)]
    pretrained = bool(one.pretrained)
    columns = [Column("pretrained with")]
    columns += [Column("its own result", numeric=True)] if pretrained else []
    columns += [Column("its filters' norms", numeric=True)] if one.norms else []
    columns += [Column(f"finetuned with {arm}", numeric=True) for arm in one.arms]
    columns.append(Column(f"Δ to {one.start}", numeric=True))
    rows = [
        Row(
            "",
            [
                TableCell(start),
                *([_own(one, start)] if pretrained else []),
                *([_norms(one, start)] if one.norms else []),
                *(mean_cell(*one.cell(start, arm)) for arm in one.arms),
                TableCell("baseline") if start == one.start else effect_cell(one.of_start(start)),
            ],
        )
        for start in one.starts
    ]
    last = [TableCell(f"Δ to {one.arm}"), *[TableCell(NONE)] * (pretrained + bool(one.norms))]
    last += [TableCell("baseline") if arm == one.arm else effect_cell(one.of_arm(arm)) for arm in one.arms]
    rows.append(Row("", [*last, TableCell(NONE)]))
    notes = f"{_OWN if pretrained else ''}{_one_each(one)}{_MEDIAN if one.norms else ''}"
    matrix = Table(
        f"{scenario_of(one.scenario)}: {one.metric}, pretrained with × finetuned with",
        f"Mean ± standard deviation over {_units(one)}, on {one.split}. Δ of a row or a column: the mean of "
        "its differences over all cells, with a 95 % interval from three on; paired, but for rows that share "
        f"no seeds or pretrainings.{notes}",
        columns,
        rows,
    )
    others = [arm for arm in one.arms if arm != one.arm]
    starts = [start for start in one.starts if start != one.start]
    if not others:
        return [matrix]
    interaction = Table(
        f"{scenario_of(one.scenario)}: {one.metric}, what of one depends on the other",
        f"How much more an arm gains over {one.arm} where it starts from that backbone than where it starts "
        f"from that of {one.start}; 95 % interval over {_units(one)}, from three on.{_one_each(one)}",
        [Column("pretrained with"), *(Column(f"finetuned with {arm}", numeric=True) for arm in others)],
        [
            Row("", [TableCell(start), *(effect_cell(one.interaction(start, arm)) for arm in others)])
            for start in starts
        ],
    )
    return [matrix, interaction]


def _of_one_start(one: Transfer) -> Table:
    """What all runs of a recipe begin with; what they make of it is in the tables of arms."""
    (start,) = one.starts
    columns = [Column("pretrained with"), Column("its filters' norms", numeric=True)]
    cells = [TableCell(start), _norms(one, start)]
    if one.pretrained:
        columns.append(Column("its own result", numeric=True))
        cells.append(_own(one, start))
    caption = f"{_MEDIAN}{_OWN if one.pretrained else ''}".strip()
    return Table(f"{scenario_of(one.scenario)}: what it starts from", caption, columns, [Row("", cells)])


_OWN = " Its own result: of the pretraining, on the validation images of its recipe (tune)."

_MEDIAN = (
    " Norms: the median of the backbone's filters before training, with the smallest and the largest: "
    "weight rescaling to norm 1 multiplies a filter's effective learning rate by its square."
)


def _norms(one: Transfer, start: str) -> TableCell:
    if start not in one.norms:
        return TableCell(NONE)
    found = one.norms[start]
    return TableCell(f"{found.median:.2g} [{found.least:.2g}, {found.most:.2g}]", found.median)


def _units(one: Transfer) -> str:
    if one.one_each:
        return "seeds"
    return (
        "pretrainings" if all(start in one.pretrained for start in one.starts) else "pretrainings (or seeds)"
    )


def _one_each(one: Transfer) -> str:
    if not one.pretrained or not one.one_each:
        return ""
    return (
        " All of a row's runs start from one pretraining: what a row shows holds for that one, not for "
        "others like it."
    )


def _own(one: Transfer, start: str) -> TableCell:
    if start not in one.pretrained:
        return TableCell(NONE)
    mean, sd, metric = one.pretrained[start]
    text = number(mean) if math.isnan(sd) else f"{number(mean)} ± {number(sd)}"
    return TableCell(f"{text} {metric}", mean)
