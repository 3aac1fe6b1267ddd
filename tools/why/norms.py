"""Train arms of a recipe, keep the norms of their filters, and draw what learning rate those mean.

docs/why.md has the figures that come out of::

    recipe=configs/mini/pspnet_r18-narrow_mini-cityscapes.py
    python tools/why/norms.py record $recipe work_dirs/norms/pspnet.csv
    python tools/why/norms.py draw work_dirs/norms/pspnet.csv docs/img/why_pspnet.svg
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import pandas as pd
from pictures import pyplot, save

from wrs_mm.engine.hooks.dynamics_file import Dynamics, read
from wrs_mm.errors import UsageError
from wrs_mm.files import write_bytes
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.training import train
from wrs_mm.regularizers import apply_regularizer
from wrs_mm.values import one_line

ARMS = ("none", "wd", "wrs", "wrs_matched")
STYLES = {"none": (0, (1, 2)), "wd": "solid", "wrs": "dashed", "wrs_matched": (0, (6, 2, 1, 2))}
"""How each arm is drawn, so that it can be told apart in grey."""


def _trained(recipe: Path, arm: str, seed: int) -> pd.DataFrame:
    config = apply_regularizer(load_config(recipe), arm)
    config.custom_hooks = [*config.get("custom_hooks", []), {"type": "WeightDynamicsHook", "interval": 10}]
    config.default_hooks.checkpoint = None
    config.train_cfg.val_interval = 10**9
    with tempfile.TemporaryDirectory() as folder:
        train(config, work_dir=folder, cfg_options={"randomness.seed": seed})
        found = read(Path(folder))
    assert found is not None, "the hook writes it"
    return table(found).assign(arm=arm)


def table(found: Dynamics) -> pd.DataFrame:
    """Learning rate, norm and effective learning rate: means over the scale-invariant weights."""
    return pd.DataFrame(
        {
            "iteration": found.iterations,
            "lr": found.of("lr")[:, 0],
            "norm": np.sqrt(np.square(found.of("norm")).mean(1)),
            # A filter's turn in an update goes with lr / norm², since its gradient goes with 1 / norm.
            "effective_lr": found.of("effective_lr").mean(1),
        }
    )


def record(recipe: Path, csv: Path, seed: int) -> None:
    """Train each arm once and write one row for each time that norms were taken down."""
    # mmengine holds on to loggers and folders of its first training: a process for each.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        tables = list(pool.map(_trained, repeat(recipe), ARMS, repeat(seed)))
    csv.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(csv, pd.concat(tables).to_csv(index=False, float_format="%.6g").encode())


def draw(csv: Path, picture: Path) -> None:
    """Norms, and the effective learning rates that they make of one schedule, over the training."""
    plt = pyplot("norms", font_size=11)
    rows_of = pd.read_csv(csv)
    figure, (above, below) = plt.subplots(2, 1, figsize=(6.4, 6), sharex=True, layout="constrained")
    for name in ARMS:
        rows = rows_of[rows_of.arm == name]
        above.plot(rows.iteration, rows.norm, linestyle=STYLES[name], label=name)
        below.plot(rows.iteration, rows.effective_lr, linestyle=STYLES[name], label=name)
    wd = rows_of[rows_of.arm == "wd"]
    below.plot(wd.iteration, wd.lr, color="#888", linewidth=1, label="lr of the recipe")
    above.set(yscale="log", ylabel="norm of the filters")
    below.set(yscale="log", ylabel="lr / norm²", xlabel="iteration")
    below.legend(ncols=2)
    save(figure, picture)


def main() -> int:
    """Record or draw.

    Returns:
        0, or 2 where something that is read is missing or cannot be used.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="train the arms of a recipe")
    recording.add_argument("recipe", type=Path)
    recording.add_argument("csv", type=Path, help="the table to write")
    recording.add_argument("--seed", type=int, default=0)
    drawing = commands.add_parser("draw", help="draw a table")
    drawing.add_argument("csv", type=Path)
    drawing.add_argument("picture", type=Path, help="the file to write: .svg or .png")
    options = vars(parser.parse_args())
    try:
        {"record": record, "draw": draw}[options.pop("command")](**options)
    except (UsageError, OSError) as error:
        print(f"norms: error: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
