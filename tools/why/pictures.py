"""What the scripts beside this one share: how an arm is called, how a picture is drawn, and their command."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.errors import UsageError
from wrs_mm.files import write_bytes
from wrs_mm.values import one_line

FOLLOWERS = {"decay_and_growth_by_layer": "wrs_matched", "decay_and_growth": "wrs_matched, one norm"}
"""What the arm ``wrs_matched`` is called, by what its targets follow; else as the plan has it."""


def arm_of(spec: RunSpec) -> str:
    """What a run's arm is called; its weight decay, by which settings differ and not arms, is left out."""
    if spec.regularizer != "wrs_matched":
        return spec.regularizer
    return FOLLOWERS.get(spec.options.get("target_schedule", "decay_and_growth_by_layer"), spec.arm_label)


def pyplot(name: str, font_size: float) -> Any:
    """Matplotlib's, for a picture that is the same to the byte each time.

    Args:
        name: Of the script.
        font_size: In points.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": name, "font.size": font_size})
    from matplotlib import pyplot as plt

    return plt


def save(figure: Any, picture: Path) -> None:
    """Write a figure, .svg or .png, whole or not at all."""
    written = io.BytesIO()
    kind = picture.suffix[1:]
    figure.savefig(written, format=kind, metadata={"Date": None} if kind == "svg" else {})
    write_bytes(picture, written.getvalue())


def picture_of_study(name: str, doc: str | None, draw: Callable[[Path, Path], Iterable[str]]) -> int:
    """The command ``SCRIPT WORK_DIR PICTURE``.

    Args:
        name: Of the script.
        doc: Its docstring.
        draw: Draws the picture of a work dir, and returns what is printed then.

    Returns:
        0, or 2 where there is no such study.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("picture", type=Path, help="the file to write: .svg or .png")
    args = parser.parse_args()
    try:
        lines = draw(args.work_dir, args.picture)
    except (UsageError, OSError, ValueError) as error:
        print(f"{name}: error: {one_line(error)}", file=sys.stderr)
        return 2
    print(*lines, sep="\n")
    return 0
