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
from typing import Any

import pandas as pd
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from wrs_mm.errors import UsageError
from wrs_mm.files import write_bytes
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.training import train
from wrs_mm.regularizers import apply_regularizer
from wrs_mm.rescaling.functional import filter_norms
from wrs_mm.values import one_line

ARMS = ("none", "wd", "wrs", "wrs_matched")
STYLES = {"none": (0, (1, 2)), "wd": "solid", "wrs": "dashed", "wrs_matched": (0, (6, 2, 1, 2))}
"""How each arm is drawn, so that it can be told apart in grey."""


@HOOKS.register_module()
class NormRecorder(Hook):
    """After every ``interval`` updates, the learning rate and the norms of all scale-invariant filters.

    Args:
        interval: In updates.
    """

    rows: list[dict[str, float]]

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval
        type(self).rows = []

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Take them down."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        weights = runner.optim_wrapper.method.invariant_weights.selected_parameters
        norms = torch.cat([filter_norms(weight.detach()) for weight in weights]).double()
        lr = runner.optim_wrapper.get_lr()["lr"][0]
        self.rows.append(
            {
                "iteration": runner.iter + 1,
                "lr": lr,
                "norm": norms.square().mean().sqrt().item(),
                # A filter's turn in a step goes with lr / norm², since its gradient goes with 1 / norm.
                "effective_lr": lr * norms.pow(-2).mean().item(),
            }
        )


def _arm(recipe: Config, name: str) -> Config:
    # With its weight decay said as an option, the arm wd is a wrapper that looks for the weights, too.
    decay = {"weight_decay": recipe.optim_wrapper.optimizer.weight_decay} if name == "wd" else {}
    config = apply_regularizer(recipe, name, **decay)
    config.custom_hooks = [*config.get("custom_hooks", []), {"type": "NormRecorder"}]
    config.default_hooks.checkpoint = None
    config.train_cfg.val_interval = 10**9
    return config


def _trained(recipe: Path, name: str, seed: int) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        train(_arm(load_config(recipe), name), work_dir=folder, cfg_options={"randomness.seed": seed})
    return pd.DataFrame(NormRecorder.rows).assign(arm=name)


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
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "norms", "font.size": 11})
    from matplotlib import pyplot as plt

    table = pd.read_csv(csv)
    figure, (above, below) = plt.subplots(2, 1, figsize=(6.4, 6), sharex=True, layout="constrained")
    for name in ARMS:
        rows = table[table.arm == name]
        above.plot(rows.iteration, rows.norm, linestyle=STYLES[name], label=name)
        below.plot(rows.iteration, rows.effective_lr, linestyle=STYLES[name], label=name)
    wd = table[table.arm == "wd"]
    below.plot(wd.iteration, wd.lr, color="#888", linewidth=1, label="lr of the recipe")
    above.set(yscale="log", ylabel="norm of the filters")
    below.set(yscale="log", ylabel="lr / norm²", xlabel="iteration")
    below.legend(ncols=2)
    figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else {})


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
