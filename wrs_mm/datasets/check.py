"""Is COCO, Cityscapes or ImageNet complete on this disk, and laid out as the recipes expect?

Finds what usually goes wrong before a training of days finds it, and says what to do about it.
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from wrs_mm.datasets import check_cityscapes, check_coco, check_imagenet
from wrs_mm.datasets.finding import Finding
from wrs_mm.errors import DatasetError

CHECKS = {
    "coco": check_coco.check_coco,
    "cityscapes": check_cityscapes.check_cityscapes,
    "imagenet": check_imagenet.check_imagenet,
}
"""The datasets that can be checked."""

_FOLDERS = {
    "coco": check_coco.FOLDERS,
    "cityscapes": check_cityscapes.FOLDERS,
    "imagenet": check_imagenet.FOLDERS,
}


def check(dataset: str, root: Path, any_size: bool = False, count: int = 100, seed: int = 0) -> list[Finding]:
    """Look at a dataset part by part, showing progress on stderr.

    Args:
        dataset: A key of :data:`CHECKS`.
        root: The dataset's root, what recipes call ``data_root``.
        any_size: Accept a set smaller than the published one, in the same layout.
        count: How many images of each split to decode.
        seed: Which ones.

    Raises:
        DatasetError: The root is no folder, or a folder below it cannot be read.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise DatasetError(f"{root} {what}; give the folder that the recipes call data_root")
    folders = _FOLDERS[dataset]
    parts = [path for folder in folders for path in (root / folder, root / f"{folder}.zip")]
    if root.resolve().name in folders and not any(path.exists() for path in parts):
        raise DatasetError(f"{root} is a part of the dataset; give the folder above it")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            found = CHECKS[dataset](root, progress, any_size=any_size, count=count, seed=seed)
            # Both splits of COCO miss the same folder of annotations: once is enough.
            return list(dict.fromkeys(found))
    except PermissionError as error:
        raise DatasetError(f"{error.filename} cannot be read; change its permissions") from error


def report(findings: list[Finding], console: Console) -> None:
    """Print what was found, then what to do about it; tab-separated where there is no terminal."""
    if console.is_terminal:
        table = Table("", "part", "found")
        for finding in findings:
            state = "[green]ok[/]" if finding.ok else "[bold red]problem[/]"
            table.add_row(state, escape(finding.part), escape(finding.found))
        console.print(table)
    else:
        for finding in findings:
            print("ok" if finding.ok else "problem", finding.part, finding.found, sep="\t")
    problems = [finding for finding in findings if not finding.ok]
    for number, finding in enumerate(problems, 1):
        # Commands are for copying: no wrapping, no markup.
        print(f"{number}. {finding.part}: {finding.remedy}")


def run_check(dataset: str, root: Path, any_size: bool = False, count: int = 100, seed: int = 0) -> int:
    """Check a dataset and print the result; the arguments are those of :func:`check`.

    Raises:
        DatasetError: Something is wrong with it.
    """
    findings = check(dataset, root, any_size, count, seed)
    report(findings, Console())
    problems = sum(not finding.ok for finding in findings)
    if problems:
        raise DatasetError(
            f"{problems} of {len(findings)} checks of {dataset} in {root} found a problem; "
            "what to do about each stands above"
        )
    return 0
