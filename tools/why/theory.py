"""What probes have found, as the table of docs/theory.md: ``python tools/why/theory.py FINDINGS ...``.

FINDINGS are files that ``wrs-mm probe --json`` wrote; the table has a column for each.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

ARMS = ("none", "wd", "wrs", "scale_lr")

Row = tuple[str, Callable[[dict[str, Any]], str]]


def noisiest(found: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """By arm, what became of the layer whose filters have most energy outside the span."""
    layers = found["noise"][0]["layers"]
    most = max(range(len(layers)), key=lambda i: fmean(layers[i]["shares_start"]))
    return [(arm["arm"], arm["layers"][most]) for arm in found["noise"]]


def second_half(found: dict[str, Any]) -> float:
    """With momentum, growth in the second half of the updates by that of uncorrelated gradients."""
    momentum = found["growth"]["momentum"]
    start = len(momentum["measured"]) // 2 - 1
    measured, uncorrelated = (
        momentum[key][-1] - momentum[key][start] for key in ("measured", "uncorrelated")
    )
    return float(measured / uncorrelated)


def limit(before: float, last: float) -> float:
    """Growth at a learning rate of 0, on the line through that at a rate and at half of it."""
    return 2 * last - before


def small(value: float) -> str:
    """Two digits and the power of ten."""
    mantissa, exponent = f"{value:.1e}".split("e")
    power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa} · 10{power}"


def percent(share: float) -> str:
    """A share; what rounding leaves of none is none."""
    return f"{100 * share:.1f}" if share > 1e-6 else "0"


def shares(values: list[float]) -> str:
    """The mean over filters, the least and the largest."""
    return f"{percent(fmean(values))} % ({percent(min(values))} to {percent(max(values))})"


def grown(growth: dict[str, Any]) -> str:
    """Growth at each learning rate, largest first."""
    return ", ".join(map(small, growth["growth"]))


def largest(found: dict[str, Any], key: str) -> float:
    """Over all filters that had a gradient."""
    cosines = (cosine for its in found["orthogonality"]["weights"] for cosine in its[key])
    return float(max(cosine for cosine in cosines if cosine is not None))


ROWS: tuple[Row, ...] = (
    ("largest cosine of w and g, ε of the network", lambda it: small(largest(it, "cosines"))),
    ("the same, ε → 0", lambda it: small(largest(it, "cosines_without_eps"))),
    ("equation (1) holds to", lambda it: small(it["orthogonality"]["explained"])),
    ("equation (2) holds to, of ‖w‖²", lambda it: small(it["orthogonality"]["residual"])),
    ("growth with SGD at η, η/2, η/4 …", lambda it: grown(it["growth"]["sgd"])),
    (
        "its last ratio",
        lambda it: f"{it['growth']['sgd']['growth'][-2] / it['growth']['sgd']['growth'][-1]:.2f}",
    ),
    ("equation (3) holds to, of ‖w‖²", lambda it: small(it["growth"]["momentum"]["residual"])),
    ("growth by that of uncorrelated gradients", lambda it: f"{second_half(it):.2f}"),
    ("growth with Adam at η, η/2, η/4 …", lambda it: grown(it["growth"]["adam"])),
    ("and on the line to η → 0", lambda it: small(limit(*it["growth"]["adam"]["growth"][-2:]))),
    (
        "cosine of w and the update, r.m.s.",
        lambda it: ", ".join(f"{name} {small(angle)}" for name, angle in it["growth"]["angles"].items()),
    ),
    (
        "rank of patches",
        lambda it: (
            f"{noisiest(it)[0][1]['rank']:.0f} of {noisiest(it)[0][1]['size']}, "
            f"{noisiest(it)[0][1]['patches']:,} patches"
        ),
    ),
    ("energy of the next batch's patches outside", lambda it: f"{percent(noisiest(it)[0][1]['fresh'])} %"),
    ("energy of filters outside at the start", lambda it: shares(noisiest(it)[0][1]["shares_start"])),
    *(
        (f"at the end, {arm}", lambda it, arm=arm: shares(dict(noisiest(it))[arm]["shares_end"]))
        for arm in ARMS
    ),
    *(
        (
            f"‖p‖ × , and equation (4) holds to, of ‖w‖: {arm}",
            lambda it, arm=arm: (
                f"{dict(noisiest(it))[arm]['course'][-1]:.4f}, {small(dict(noisiest(it))[arm]['residual'])}"
            ),
        )
        for arm in ARMS
    ),
)


def table(found: list[dict[str, Any]]) -> str:
    """Markdown, a column for each."""
    head = ["", *(its["config"] for its in found)]
    rows = [head, ["---"] * len(head), *([name, *map(text, found)] for name, text in ROWS)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("findings", nargs="+", type=Path)
    print(table([json.loads(path.read_text(encoding="utf-8")) for path in parser.parse_args().findings]))


if __name__ == "__main__":
    main()
