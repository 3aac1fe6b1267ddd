"""Does it matter how a backbone was pretrained, and to whom? Two sentences a recipe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from wrs_mm.bench.report.figures.base import Figure
from wrs_mm.bench.report.figures.transfer import size_figure
from wrs_mm.bench.report.labels import bracket, number, scenario_of
from wrs_mm.bench.report.tables.base import Table
from wrs_mm.bench.report.tables.transfer import transfer_tables
from wrs_mm.bench.statistics.benchmark import RunData
from wrs_mm.bench.statistics.over_seeds import Effect, verdict
from wrs_mm.bench.statistics.transfer import Transfer, size_curves, transfers


class TransferSection(NamedTuple):
    """What the page says of one recipe.

    Attributes:
        title: The recipe.
        sentences: What follows from the numbers.
        tables: The numbers.
    """

    title: str
    sentences: list[str]
    tables: list[Table]


def transfer_sections(runs: Sequence[RunData]) -> list[TransferSection]:
    """One for each recipe that was trained from several starts, or from filters whose norms are known.

    Args:
        runs: All of a benchmark.
    """
    return [
        TransferSection(scenario_of(one.scenario), sentences(one), transfer_tables(one))
        for one in transfers(runs)
    ]


def size_figures(runs: Sequence[RunData]) -> list[Figure]:
    """Transfer against the number of training images, where a plan varies it."""
    return [size_figure(one) for one in size_curves(runs)]


def sentences(one: Transfer) -> list[str]:
    """What a matrix says: of the rows, and of rows and columns together; of one start, nothing."""
    if len(one.starts) == 1:
        return []
    starts = [start for start in one.starts if start != one.start]
    rows = "; ".join(_said(f"from {start}", one.of_start(start), one) for start in starts)
    found = [f"Against backbones from {one.start}, averaged over what they are finetuned with, {rows}."]
    others = [arm for arm in one.arms if arm != one.arm]
    if others:
        parts = "; ".join(
            _said(f"{arm} from {start}", one.interaction(start, arm), one)
            for start in starts
            for arm in others
        )
        found.append(
            f"What an arm gains over {one.arm}, against what it gains on backbones from {one.start}: {parts}."
        )
    return found


def _said(what: str, effect: Effect, one: Transfer) -> str:
    if math.isnan(effect.value):
        return f"{what}: nothing known yet"
    sure = verdict(effect.low, effect.high).value
    found = [f"{number(effect.value, sign=True)} points of {one.metric}", bracket(effect.low, effect.high)]
    return f"{what}: {' '.join(filter(None, found))}, {sure}"
