"""One figure of many small panels, one for each stage of the network; on a phone in two columns.

All panels of a quantity share their range of values, and all panels their iterations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from wrs_mm.bench.report.figures.base import AXIS, Figure, log_ticks, make_figure, text

_MOST_COLUMNS = 8
"""Panels side by side on a screen."""

_GAP, _TOP, _BOTTOM = 26, 30, 46
"""Pixels: between two rows of panels, above the first, below the last."""


class Quantity(NamedTuple):
    """What is drawn of each stage, on a logarithmic axis.

    Attributes:
        name: What it is, with its unit.
        traces: For a stage, plotly's traces without their axes.
        low: The least value of all.
        high: The largest.
    """

    name: str
    traces: Callable[[str], list[Any]]
    low: float
    high: float


def panel_figure(title: str, stages: Sequence[str], quantities: Sequence[Quantity]) -> Figure:
    """A panel for each stage and quantity.

    Args:
        title: What is drawn.
        stages: Those of the network, or one without a name.
        quantities: One or two.
    """
    traces = []
    listed: set[str] = set()
    for number, (quantity, stage) in enumerate(_cells(stages, quantities), 1):
        for trace in quantity.traces(stage):
            trace.update(xaxis=_axis("x", number), yaxis=_axis("y", number))
            if trace.showlegend is not False:
                # One entry of the legend for all panels.
                trace.update(showlegend=trace.name not in listed)
                listed.add(trace.name)
            traces.append(trace)
    wide = _Grid(stages, quantities, narrow=False).layout()
    # The page puts it in the place of the wide one where there is no room.
    narrow = _Grid(stages, quantities, narrow=True).layout()
    height = wide.pop("height")
    return make_figure(title, traces, height, hovermode="x", meta={"narrow": narrow}, **wide)


def _cells(stages: Sequence[str], quantities: Sequence[Quantity]) -> Iterator[tuple[Quantity, str]]:
    """The panels in the order of their axes' numbers, which is that of the rows on a screen."""
    for quantity in quantities:
        for stage in stages:
            yield quantity, stage


def _axis(letter: str, number: int) -> str:
    return letter if number == 1 else f"{letter}{number}"


@dataclass(frozen=True)
class _Grid:
    """Where panels stand.

    On a screen a row is a quantity, and more than eight stages stand in several rows. On a phone a column
    is a quantity and a row a stage; of a single quantity two stages stand side by side. A single stage has
    the whole width.
    """

    stages: Sequence[str]
    quantities: Sequence[Quantity]
    narrow: bool

    @property
    def _paired(self) -> bool:
        """Whether each quantity has a column of its own."""
        return self.narrow and len(self.quantities) == 2 and len(self.stages) > 1

    @property
    def _columns(self) -> int:
        rows = math.ceil(len(self.stages) / _MOST_COLUMNS)
        return min(2, len(self.stages)) if self.narrow else math.ceil(len(self.stages) / rows)

    def _place(self, quantity: int, stage: int) -> tuple[int, int]:
        """Row and column of a panel."""
        if self._paired:
            return stage, quantity
        row, column = divmod(stage, self._columns)
        return row * len(self.quantities) + quantity, column

    @property
    def _rows(self) -> int:
        return 1 + self._place(len(self.quantities) - 1, len(self.stages) - 1)[0]

    @property
    def _panel(self) -> int:
        """Height in pixels; a panel as wide as the page is higher."""
        height = 105 if self.narrow else 150
        return height if len(self.stages) > 1 else height * 3 // 2

    @property
    def _inner(self) -> int:
        return self._rows * self._panel + (self._rows - 1) * _GAP

    def _domain(self, quantity: int, stage: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """From where to where a panel reaches, across and up, in shares of the figure."""
        row, column = self._place(quantity, stage)
        room = 0.15 if self._paired else 0.08 if self.narrow else 0.03
        width = (1 - room * (self._columns - 1)) / self._columns
        left = column * (width + room)
        top = 1 - row * (self._panel + _GAP) / self._inner
        return (left, left + width), (top - self._panel / self._inner, top)

    def layout(self) -> dict[str, Any]:
        """Axes, headings and height."""
        made: dict[str, Any] = {
            "height": self._inner + _TOP + _BOTTOM + (60 if self.narrow else 30),
            "margin": {"l": 8, "r": 12, "t": _TOP, "b": 8},
            "legend": {"orientation": "h", "x": 0, "y": 1 + _TOP / self._inner, "yanchor": "bottom"},
            "annotations": list(self._headings()),
        }
        number = 0
        for q, quantity in enumerate(self.quantities):
            first = number + 1
            for s in range(len(self.stages)):
                number += 1
                across, up = self._domain(q, s)
                last = self._is_last(q, s)
                made[_axis("xaxis", number)] = {
                    **AXIS,
                    **{"domain": across, "anchor": _axis("y", number), "rangemode": "tozero", "nticks": 4},
                    **({"matches": "x"} if number > 1 else {}),
                    **(
                        {"title": {"text": "iteration", "standoff": 4}} if last else {"showticklabels": False}
                    ),
                }
                row_begins = self._place(q, s)[1] == 0 or self._paired
                made[_axis("yaxis", number)] = {
                    **AXIS,
                    **log_ticks(quantity.low, quantity.high),
                    **{"domain": up, "anchor": _axis("x", number), "showticklabels": row_begins},
                    **({"matches": _axis("y", first)} if number > first else {}),
                    **({"title": {"text": quantity.name}} if row_begins and not self._paired else {}),
                }
        return made

    def _is_last(self, quantity: int, stage: int) -> bool:
        """Whether no panel stands below it."""
        row, column = self._place(quantity, stage)
        places = [self._place(q, s) for q in range(len(self.quantities)) for s in range(len(self.stages))]
        return (row + 1, column) not in places

    def _headings(self) -> Iterator[dict[str, Any]]:
        """The stages' names, and those of quantities where no axis has them."""
        for s, stage in enumerate(self.stages):
            across, up = self._domain(0, s)
            if stage:
                yield heading(text(stage), across[0], up[1])
        if self._paired:
            for q, quantity in enumerate(self.quantities):
                across, up = self._domain(q, 0)
                yield heading(f"<b>{text(quantity.name)}</b>", across[0], up[1], 16)


def heading(content: str, x: float, y: float, lift: int = 0) -> dict[str, Any]:
    """An annotation above a panel.

    Args:
        content: In plotly's HTML.
        x: The left end of the panel, as a share of the figure.
        y: Its upper end.
        lift: By how many pixels it stands higher than right above it.
    """
    return {
        **{"text": content, "x": x, "y": y, "xref": "paper", "yref": "paper", "yshift": lift},
        **{"xanchor": "left", "yanchor": "bottom", "showarrow": False, "font": {"size": 12}},
    }
