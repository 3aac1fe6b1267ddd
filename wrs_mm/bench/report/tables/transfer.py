"""The matrix of a recipe: pretrained with × finetuned with."""

from __future__ import annotations

import math

from wrs_mm.bench.report.labels import NONE, bracket, number, scenario_of
from wrs_mm.bench.report.tables.base import Column, Row, Table, TableCell
from wrs_mm.bench.statistics.transfer import Effect, Transfer


def transfer_tables(one: Transfer) -> list[Table]:
    """The matrix with its rows' and columns' effects, and the interaction of both."""
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
                *(_mean(*one.cell(start, arm)) for arm in one.arms),
                TableCell("baseline") if start == one.start else _effect(one.of_start(start)),
            ],
        )
        for start in one.starts
    ]
    last = [TableCell(f"Δ to {one.arm}"), *[TableCell(NONE)] * (pretrained + bool(one.norms))]
    last += [TableCell("baseline") if arm == one.arm else _effect(one.of_arm(arm)) for arm in one.arms]
    rows.append(Row("", [*last, TableCell(NONE)]))
    matrix = Table(
        f"{scenario_of(one.scenario)}: {one.metric}, pretrained with × finetuned with",
        f"Mean ± standard deviation over {_units(one)}. Δ of a row or a column: the mean of its differences "
        "over all cells, with a 95 % interval from three on; paired, but for rows that share no seeds or "
        f"pretrainings.{_one_each(one)}{_MEDIAN if one.norms else ''}",
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
            Row("", [TableCell(start), *(_effect(one.interaction(start, arm)) for arm in others)])
            for start in starts
        ],
    )
    return [matrix, interaction]


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


def _mean(mean: float, sd: float) -> TableCell:
    return TableCell(NONE if math.isnan(mean) else f"{number(mean)} ± {number(sd)}", mean)


def _effect(one: Effect) -> TableCell:
    text = NONE if math.isnan(one.value) else number(one.value, sign=True)
    return TableCell(text, one.value, interval=bracket(one.low, one.high))
