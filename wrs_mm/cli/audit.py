"""``wrs-mm audit``: which weights of a config's model are scale-invariant, and why."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.text import Text

from wrs_mm.audit.brute_force import Verification, verify
from wrs_mm.audit.verdicts import audit_model
from wrs_mm.cli.train import add_config_argument
from wrs_mm.errors import ConfigError, UsageError
from wrs_mm.files import write_text
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.optional_packages import packages_named
from wrs_mm.openmmlab.synthetic import build_model, random_batch, smallest_size
from wrs_mm.rescaling import RescaleOptions, Verdict
from wrs_mm.rescaling.options import GRANULARITIES, SELECTION
from wrs_mm.terminal import Column, Section, console_width, fits, print_lines, table_lines

_STACKED_BELOW = 120
"""A narrower terminal gets no shapes, and each reason on a line of its own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``wrs-mm audit``."""
    add_config_argument(parser)
    parser.add_argument(
        "--granularity",
        choices=GRANULARITIES,
        help="judge each filter, each group of filters that norm layers take together, or the whole weight "
        "(default: what the config's optim_wrapper says)",
    )
    parser.add_argument("--verify", action="store_true", help="also multiply filters and look at the loss")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts to a file")
    parser.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="height and width of the images (default: the smallest of 128, 256, 512 that the model takes)",
    )
    parser.add_argument("--batch-size", type=int, default=2, help="number of images (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and data (%(default)s)")


def run(args: argparse.Namespace) -> int:
    """Run the command; 1 if brute force contradicts a verdict.

    Raises:
        ConfigError: The config cannot be read, built or run.
    """
    for option in ("size", "batch_size"):
        if (value := getattr(args, option)) is not None and value < 1:
            raise ConfigError(f"--{option.replace('_', '-')} must be at least 1")
    if args.json is not None and not args.json.resolve().parent.is_dir():
        raise ConfigError(f"--json: there is no folder {args.json.parent}")
    config = load_config(args.config)
    options = wrs_options_of(config)
    if args.granularity is not None:
        options["granularity"] = args.granularity
    model = build_model(config, seed=args.seed)
    try:
        with packages_named(config):
            size = (args.size, args.size) if args.size else smallest_size(model, seed=args.seed)
            batch = random_batch(model, batch_size=args.batch_size, size=size, seed=args.seed)
            verdicts = audit_model(model, batch, **options)
    except UsageError:
        raise
    except Exception as error:  # the model is a third party's: whatever it raises, it cannot be audited so
        advice = "; try a larger --size" if args.size else ""
        raise ConfigError(f"the loss of {args.config} cannot be computed{advice}: {error}") from error
    console = Console() if Console().is_terminal else Console(width=200)
    verification = None
    if args.verify:
        verification = verify(
            model,
            batch,
            verdicts,
            args.seed,
            progress=lambda names: track(names, "multiplying filters", console=Console(stderr=True)),
        )
    print_lines(console, table_of(verdicts, verification, console_width(console)))
    rescaled = sum(v.selected for v in verdicts)
    console.print(
        f"{sum(v.scale_invariant for v in verdicts)} of {len(verdicts)} weights are scale-invariant "
        f"(granularity {options['granularity']!r}); with frozen_bn={options['frozen_bn']!r} WRS rescales "
        f"{rescaled}.",
        highlight=False,
    )
    wrong: list[str] = []
    if verification is not None:
        wrong = verification.disagreements(verdicts)
        kind = str(verification.dtype).removeprefix("torch.")
        console.print(
            f"Brute force in {kind}, tolerance {verification.tolerance:g}: "
            + (f"contradicts {', '.join(wrong)}." if wrong else "agrees with every verdict."),
            highlight=False,
        )
    if args.json is not None:
        _write_verdicts(args.json, args.config, options["granularity"], verdicts, verification)
    return 1 if wrong else 0


def wrs_options_of(config: Any) -> dict[str, str]:
    """Granularity and frozen_bn of a config's own arm, or the defaults."""
    wrapper = config.get("optim_wrapper") or {}
    said = wrapper.get("wrs") or wrapper.get("scale_invariance") or {}
    options = RescaleOptions(**{name: said[name] for name in SELECTION if name in said})
    return {name: getattr(options, name) for name in SELECTION}


def table_of(verdicts: Sequence[Verdict], verification: Verification | None, width: int | None) -> list[Text]:
    """The verdicts as a table's lines, in which no name is broken.

    Args:
        verdicts: The verdicts.
        verification: What brute force found, if it was asked.
        width: Of the terminal, None where there is none; a narrow one gets each reason below its weight, and
            no shapes.
    """
    columns = [Column("invariant")] + ([Column("loss change", right=True)] if verification else [])
    wide_columns = [*columns, Column("weight"), Column("shape"), Column("reason", remark=True)]
    wide, stacked = [], []
    for verdict in verdicts:
        row = [Text("yes" if verdict.scale_invariant else "no")]
        if verification is not None:
            change = verification.loss_change[verdict.name]
            affects = verification.affects_loss(verdict.name) and change is not None
            row.append(Text(f"{change:.1e}" if affects else "no effect"))
        shape = "×".join(map(str, verdict.shape))
        wide.append([*row, *map(Text, (verdict.name, shape, verdict.reason))])
        stacked.append([*row, Text.assemble(verdict.name, "\n", (verdict.reason, "dim"))])
    if width is None or width >= _STACKED_BELOW:
        lines = table_lines(wide_columns, [Section("", wide)], width, keys=len(wide_columns) - 1)
        if fits(lines, width):
            return lines
    return table_lines(
        [*columns, Column("weight", remark=True)], [Section("", stacked)], width, keys=len(columns)
    )


def _write_verdicts(
    path: Path,
    config: str,
    granularity: str,
    verdicts: Sequence[Verdict],
    verification: Verification | None,
) -> None:
    """Write the verdicts; the keys are a contract."""
    entries = []
    for verdict in verdicts:
        entry: dict[str, Any] = {
            "name": verdict.name,
            "shape": list(verdict.shape),
            "scale_invariant": verdict.scale_invariant,
            "rescaled": verdict.selected,
            "norm_layers": list(verdict.norm_layers),
            "reason": verdict.reason,
        }
        if verification is not None:
            change = verification.loss_change[verdict.name]
            entry["loss_change"] = change if change is not None and math.isfinite(change) else None
            entry["affects_loss"] = verification.affects_loss(verdict.name)
        entries.append(entry)
    content: dict[str, Any] = {"config": str(config), "granularity": granularity, "weights": entries}
    if verification is not None:
        content["verify"] = {
            "dtype": str(verification.dtype).removeprefix("torch."),
            "tolerance": verification.tolerance,
            "disagreements": verification.disagreements(verdicts),
        }
    write_text(path, json.dumps(content, indent=1) + "\n")
