"""What a probe found, as tables for the terminal and as plain values for a file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from rich.text import Text

from wrs_mm.probe.findings import ArmNoise, Growth, Orthogonality, largest
from wrs_mm.probe.growth import FixedTime
from wrs_mm.probe.weight_noise import Noise
from wrs_mm.terminal import Column, Section, table_lines


def orthogonality_lines(found: Orthogonality, width: int | None) -> list[Text]:
    """A row for each weight: the largest of its filters' cosines, the median, and the largest with ε → 0."""
    columns = [
        Column("weight"),
        *(Column(name, right=True) for name in ("filters", "no gradient", "|cos(w, g)|", "median", "ε → 0")),
    ]
    rows = [
        [
            Text(its.weight),
            *_texts(
                its.filters,
                its.untrained,
                _small(largest(its.cosines)),
                _small(_median(its.cosines)),
                _small(largest(its.cosines_without_eps)),
            ),
        ]
        for its in found.weights
    ]
    return table_lines(columns, [Section("", rows)], width)


def growth_lines(found: Growth, width: int | None) -> list[Text]:
    """A row for each optimizer: growth over a fixed time by learning rate, and where it goes."""
    halvings = range(len(found.sgd.rates))
    columns = [
        Column("growth of ‖w‖² over a fixed time"),
        Column("lr", right=True),
        *(Column("at lr" if k == 0 else f"lr / {2**k}", right=True) for k in halvings),
        Column("last ratio", right=True),
        Column("at lr → 0", right=True),
    ]

    def row(name: str, its: FixedTime) -> list[Text]:
        growth = [_small(value) for value in its.growth]
        return _texts(name, f"{its.rates[0]:g}", *growth, f"{its.ratios[-1]:.2f}", _small(its.limit))

    rows = [row("SGD, ε → 0", found.sgd), row("SGD", found.sgd_with_eps), row("Adam, ε → 0", found.adam)]
    return table_lines(columns, [Section("", rows)], width)


def noise_lines(found: Sequence[ArmNoise], width: int | None) -> list[Text]:
    """A section for each layer, in it a row for each arm."""
    columns = [
        Column("arm"),
        *(
            Column(name, right=True)
            for name in ("outside, start", "end", "norm × ", "predicted", "difference", "unseen patches")
        ),
    ]
    sections = []
    for index, first in enumerate(found[0].layers):
        rows = []
        for arm in found:
            its = arm.layers[index]
            rows.append(
                _texts(
                    arm.arm,
                    _shares(its.shares_start),
                    _shares(its.shares_end),
                    f"{its.course[-1]:.6f}" if its.course else "",
                    f"{its.predicted[-1]:.6f}" if its.predicted else "",
                    "" if its.residual is None or not its.course else f"{its.residual:.0e}",
                    _share(its.fresh),
                )
            )
        sections.append(Section(_heading(first), rows))
    return table_lines(columns, sections, width)


def _heading(its: Noise) -> str:
    """A layer in words, as its first arm saw it."""
    never = (
        f"; {its.never_fed:,} weights met only exact zeros, {its.untouched:,} of them unchanged to the bit"
        if its.never_fed
        else ""
    )
    least, next_one = its.gap
    return (
        f"{its.layer}: rank {its.rank:g} of {its.size}, {its.patches:,} patches, singular values down to "
        f"{least:.0e} of the largest" + (f", then {next_one:.0e}" if next_one else "") + never
    )


def summary(orthogonality: Orthogonality, growth: Growth) -> list[str]:
    """What the tables do not say, a sentence each."""
    momentum = growth.momentum
    half = len(momentum.measured) // 2
    measured = momentum.measured[-1] - momentum.measured[half - 1]
    expected = momentum.uncorrelated[-1] - momentum.uncorrelated[half - 1]
    ratio = measured / expected if expected else math.nan
    angles = ", ".join(f"{name} {_small(angle)}" for name, angle in growth.angles.items())
    said = [
        f"‖w'‖² is ‖w‖² + η²‖g‖² for plain SGD with ε → 0, to {orthogonality.residual:.0e} of ‖w‖².",
        f"With momentum {momentum.momentum:g}, growth is the exact sum over buffers to "
        f"{momentum.residual:.0e} of ‖w‖², and {ratio:.2f} times what uncorrelated gradients would give "
        "(updates of the second half).",
        f"Root mean square cosine between filter and update: {angles}.",
    ]
    if not math.isnan(orthogonality.explained):
        said.insert(
            0,
            "What is left of |cos(w, g)| is ε / (v + ε) ⟨y, ∂L/∂y⟩ of the BN that follows, to "
            f"{orthogonality.explained:.0e}.",
        )
    return said


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return median(known) if known else math.nan


def _small(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1e}"


def _share(value: float) -> str:
    """A share in percent; what is there is not called nothing."""
    if math.isnan(value):
        return ""
    return "none" if value == 0 else f"{100 * value:.2f} %" if value >= 1e-4 else f"{value:.0e}"


def _shares(values: Sequence[float]) -> str:
    """Of all filters: the mean, and the least and the largest."""
    least, largest = _share(min(values)), _share(max(values))
    spread = "" if least == largest else f" ({least.removesuffix(' %')} to {largest.removesuffix(' %')})"
    return _share(fmean(values)) + spread


def _texts(*values: Any) -> list[Text]:
    return [Text(str(value)) for value in values]


def plain(value: Any) -> Any:
    """Findings as what JSON holds, to six digits.

    A number that is none becomes None; points of a picture are left out.
    """
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if field.name != "grown"]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
