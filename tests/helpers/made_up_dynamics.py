"""Runs that have watched their weights: made-up gradients move real filters by a real optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wrs_mm.bench.plan.spec import RunSpec
from wrs_mm.bench.runs.records import Identity, Status
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.benchmark import RunData
from wrs_mm.engine.hooks.dynamics_file import Contents, Dynamics, DynamicsFile
from wrs_mm.rescaling.dynamics import QUANTITIES, UpdateWatch, WatchedWeight, is_sgd
from wrs_mm.rescaling.equilibrium import law_of

STAGES = {"backbone.stem": 0.5, "backbone.layer1": 1.0, "backbone.<b>layer2": 1.5, "neck": 2.0}
"""Stages of one weight each, with the length of its filters' gradients at unit norm."""

FILTERS, SIZE = 8, 48


def gradient_of(weight: Tensor, unit: Tensor | float) -> Tensor:
    """Random directions at right angles to the filters; as long as ``unit`` where those have norm 1."""
    norms = weight.norm(dim=1, keepdim=True)
    random = torch.randn_like(weight)
    random -= (random * weight).sum(1, keepdim=True) / norms.square() * weight
    lengths = unit[:, None] if isinstance(unit, Tensor) else unit
    return random * (lengths / norms / math.sqrt(weight.shape[1] - 1))


def write_dynamics(
    folder: Path, arm: str, seed: int, updates: int = 400, interval: int = 10, lr: float = 0.1
) -> None:
    """The file of a run with SGD: ``wd`` decays, ``wrs`` goes back to norm 1, ``none`` does neither.

    Two thirds through the training the learning rate falls to a tenth.
    """
    torch.manual_seed(seed)
    weights = [nn.Parameter(torch.randn(FILTERS, SIZE, dtype=torch.float64)) for _ in STAGES]
    with torch.no_grad():
        for weight in weights:
            weight /= weight.norm(dim=1, keepdim=True)
    decay = 0.02 if arm == "wd" else 0.0
    optimizer = torch.optim.SGD(weights, lr=lr, momentum=0.9, weight_decay=decay)
    names = [f"{stage}.0.weight" for stage in STAGES]
    watched = [WatchedWeight(name, weight) for name, weight in zip(names, weights, strict=True)]
    watch = UpdateWatch(optimizer, watched)
    law = "" if arm == "wrs" else law_of(optimizer)
    contents = Contents(names, list(STAGES), list(QUANTITIES), is_sgd(optimizer), law)
    file = DynamicsFile.begin(folder, contents, after=0)
    for update in range(1, updates + 1):
        optimizer.param_groups[0]["lr"] = lr if 3 * update < 2 * updates else lr / 10
        for weight, unit in zip(weights, STAGES.values(), strict=True):
            weight.grad = gradient_of(weight.detach(), unit)
        if update % interval == 0:
            watch.ask()
        optimizer.step()
        if arm == "wrs":
            with torch.no_grad():
                for weight in weights:
                    weight /= weight.norm(dim=1, keepdim=True)
        if (row := watch.take()) is not None:
            file.append(update, row.numpy())


def make_watched_work_dir(
    path: Path,
    arms: Sequence[str] = ("none", "wd", "wrs"),
    seeds: int = 3,
    write: Callable[[Path, str, int], None] = write_dynamics,
) -> WorkDir:
    """A work dir of runs that have watched their weights, and have no result.

    Args:
        path: Where.
        arms: Their arms.
        seeds: How many of each.
        write: Writes into a run's folder what it watched, given arm and seed.
    """
    work_dir = WorkDir(path)
    path.mkdir(parents=True)
    specs = [spec(arm, seed) for seed in range(seeds) for arm in arms]
    work_dir.register("watched", specs)
    for one in specs:
        run = work_dir.run(one)
        run.prepare(Identity(spec=one, task="detection", dataset="d", config_hash="0"), "a = 1\n")
        write(run.folder, one.regularizer, one.seed)
    return work_dir


def spec(arm: str, seed: int) -> RunSpec:
    """A run of an arm; ``wd`` is the baseline."""
    return RunSpec(
        **{"recipe": "r", "regularizer": arm, "options": {}, "optimizer": "recipe"},
        seed=seed,
        baseline=arm == "wd",
    )


def run_data(arm: str, seed: int, dynamics: Dynamics | None = None, **more: Any) -> RunData:
    """What is known of a run."""
    return RunData(spec(arm, seed), Path(), Status.DONE, dynamics=dynamics, **more)


def made_up_dynamics(
    stages: Sequence[str] = ("a", "b"),
    iterations: Sequence[int] = (10, 20, 30, 40),
    law: str = "sgd",
    sgd: bool = True,
    **quantities: Any,
) -> Dynamics:
    """Dynamics of a weight a stage: of each quantity what is given, ``(reports, weights)`` or less, or 1."""
    shape = len(iterations), len(stages)
    values = np.stack([np.broadcast_to(quantities.get(name, 1.0), shape) for name in QUANTITIES], axis=-1)
    contents = Contents([f"{stage}.weight" for stage in stages], list(stages), list(QUANTITIES), sgd, law)
    return Dynamics(contents, np.array(iterations), values.astype("<f4"))
