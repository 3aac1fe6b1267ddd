"""docs/families.json, what was found, and docs/families.md, the table of it."""

from __future__ import annotations

import json
import textwrap
from importlib.metadata import version
from pathlib import Path
from typing import Any

from examine import PARTS, REGIONS, SIZES, STEPS

from configs import CONFIGS
from wrs_mm.files import write_text

HEAD = """\
# Every model family

One configuration stands for each folder of mmdet {mmdet} and mmseg {mmseg}. Models of videos are trained and
evaluated on made-up ones of two frames; trackers that train their detector alone, on images.

`python tools/families` makes what is missing here, `--failed` what could not run, `python tools/families
CONFIG ...` single rows again. `tools/families/requirements.txt` has the optional packages that some rows
need, in the versions that they were made with.

Each model is the recipe's own, at full width, with random weights, two images of random pixels (the smallest
of {sizes} pixels that it trains on) and made-up annotations. Second stages sample {regions} regions an image.

| column | says |
|---|---|
| weights | convolution and linear weights of the model |
| invariant | those of them that `wrs-mm audit` finds scale-invariant, filter by filter |
| BN trained | the same after every frozen BN was made to normalize with the batch's statistics |
| skip, fold | those that WRS rescales with `frozen_bn='skip'` and with `'fold'` |
| loss change | how far the loss changed, as a share of it, with all invariant weights multiplied at once |
| affect loss | the weights where this loss has a gradient at all: only for them can a «no» be confirmed |
| agrees | whether brute force confirms every verdict, with BN as in the recipe and trained |
| empty | whether the verdicts stay the same where one image, or all, hold no object; or the model fails |
| trains | whether the model trains and is evaluated: how many weights WRS rescaled meanwhile |

Brute force multiplies filters by random factors from 1/4 to 4 and looks at the loss, in {dtypes}, with the
ε of every norm layer made negligible and its γ and β random. Of a weight that is not invariant it first
asks whether the loss's gradient points along its filters, and multiplies it, alone, only where it does not.

A model trains if {steps} steps with the recipe's optimizer and `wrs=dict(frozen_bn='fold', target='init')`,
in float32, have finite losses and leave every rescaled filter with the norm it began with, and an evaluation
thereafter has a result for each image. Where nothing can be rescaled, it trains as the recipe says.

{summary}

"""
COLUMNS = (
    "config", "weights", "invariant", "BN trained", "skip", "fold", "loss change", "affect loss", "agrees",
    "empty", "trains",
)  # fmt: skip
RULE = "|---|" + "--:|" * 7 + "---|---|---|"

Results = dict[str, dict[str, Any]]
"""By configuration and part (``verdicts``, ``training``): what was found, or ``{"error": why}``."""


def read(path: Path) -> Results:
    """What was found so far."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write(path: Path, results: Results) -> None:
    """Write what was found, and the table beside it."""
    order = {name: i for i, name in enumerate(CONFIGS)}
    ordered = dict(sorted(results.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))
    write_text(path, json.dumps(ordered, indent=1) + "\n")
    write_text(path.with_suffix(".md"), _document(ordered))


def is_wrong(result: dict[str, Any]) -> bool:
    """Whether brute force contradicts a verdict, or verdicts depend on what the batch holds."""
    return any(each["disagreements"] or each["differing"] for each in _passes(result))


def row(name: str, result: dict[str, Any]) -> str:
    """A row of the table."""
    found = result.get("verdicts", {"error": "not tried yet"})
    cells = [f"cannot run: {found['error']}", *[""] * 8] if "error" in found else _cells(found)
    trained = result.get("training", {"error": "not tried yet"})
    cells.append(trained["error"] if "error" in trained else trained["rescaled"] or "as the recipe says")
    return "| " + " | ".join(str(cell).replace("|", "/") for cell in (f"`{name}`", *cells)) + " |"


def _cells(found: dict[str, Any]) -> list[Any]:
    """What a row says of the verdicts."""
    recipe, passes = found["recipe"], _passes({"verdicts": found})
    change = max((p["loss_change"] for p in passes if p["loss_change"] is not None), default=None)
    wrong = list(dict.fromkeys(n for p in passes for n in p["disagreements"]))
    differing = list(dict.fromkeys(what for p in passes for what in p["differing"]))
    failing = list(dict.fromkeys(what for p in passes for what in p.get("failing", ())))
    precision = {p["dtype"] for p in passes} - {"float64"}
    return [
        found["weights"],
        recipe["invariant"],
        found.get("trained", recipe)["invariant"],
        recipe["rescaled"],
        found["fold"],
        "" if change is None else f"{change:.0e}" if change else "0",
        max(p["affects_loss"] for p in passes),
        ("**no**: " + ", ".join(wrong) if wrong else "yes") + "".join(f", in {p}" for p in precision),
        ("**differs**: " + ", ".join(differing) if differing else "same")
        + (f"; fails with {', '.join(failing)}" if failing else ""),
    ]


def _passes(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What was found with BN as configured, and with BN trained."""
    found = result.get("verdicts", {})
    return [found[key] for key in ("recipe", "trained") if key in found]


def _document(results: Results) -> str:
    summary = textwrap.fill(_summary(results), 110)
    single = any(p["dtype"] != "float64" for result in results.values() for p in _passes(result))
    head = HEAD.format(
        mmdet=version("mmdet"),
        mmseg=version("mmsegmentation"),
        sizes=", ".join(map(str, SIZES[:-1])) + f" and {SIZES[-1]}",
        dtypes="float64" + (" (float32 where the row says so)" if single else ""),
        summary=summary,
        regions=REGIONS,
        steps=STEPS,
    )
    rows = [row(name, result) for name, result in results.items()]
    return head + "\n".join(["| " + " | ".join(COLUMNS) + " |", RULE, *rows]) + "\n"


def _summary(results: Results) -> str:
    ran = {
        part: sum("error" not in result.get(part, {"error": ""}) for result in results.values())
        for part in PARTS
    }
    tried = {part: sum(part in result for result in results.values()) for part in PARTS}
    wrong = sum(is_wrong(result) for result in results.values())
    untried = sorted(set(CONFIGS) - set(results))
    contradicted = f"verdicts on {wrong} of them" if wrong else "no verdict"
    missing = f" Not tried yet: {', '.join(name.partition('/')[0] for name in untried)}." if untried else ""
    return (
        f"Of {len(CONFIGS)} configurations, {tried['verdicts']} were audited: {ran['verdicts']} run here, "
        f"and brute force contradicts {contradicted}. {tried['training']} were trained, {ran['training']} "
        f"of them to the end of their evaluation. The rows of the others say why not.{missing}"
    )
