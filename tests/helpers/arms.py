"""A recipe's model at full size, trained by each of its arms for two steps on made-up images."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import Tensor, nn

from wrs_mm.audit.verdicts import audit_model
from wrs_mm.borrowed import seeded
from wrs_mm.cli.audit import wrs_options_of
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch
from wrs_mm.rescaling import Verdict
from wrs_mm.rescaling.functional import filter_norms

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
ARMS = ("none", "wd", "wrs", "wrs_matched")
"""Those that ship as overlays; `wrs-mm config RECIPE --arm ARM --overlay` writes that of any other."""
SIZE = (64, 64)
STEPS = 2
MOVED = 1e-6
"""Relative change of a norm that is no rounding error of float32."""


def recipes_in(folder: str) -> list[str]:
    """Names of the recipes of a folder under ``configs/``: its files that are no arm.

    Without those that say at which settings each arm was tuned: they are made for plans and have no overlays.
    """
    names = sorted(path.stem for path in (CONFIGS / folder).glob("*.py"))
    return [name for name in names if not name.endswith(("_tuned", *(f"_{arm}" for arm in ARMS)))]


def load(folder: str, recipe: str, arm: str | None = None) -> Config:
    return load_config(CONFIGS / folder / f"{recipe}_{arm}.py" if arm else CONFIGS / folder / f"{recipe}.py")


def plain(node: Any) -> Any:
    """A config as plain Python, without the ``_scope_`` that mmengine adds to what is of another package."""
    if isinstance(node, Config):
        return plain(node.to_dict())
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items() if key != "_scope_"}
    return [plain(value) for value in node] if isinstance(node, (list, tuple)) else node


def documented_counts(folder: str) -> dict[str, tuple[int, int]]:
    """By recipe, the last two numbers of its row in docs/recipes.md: weights rescaled, weights."""
    row = re.compile(rf"^\| \[`([^`]+)`\]\(\.\./configs/{folder}/\1\.py\) .*\| (\d+) \| (\d+) \|$", re.M)
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    return {name: (int(rescaled), int(weights)) for name, rescaled, weights in row.findall(text)}


@dataclass
class Subject:
    """A recipe's model, and the verdicts on its weights with the options of the arm ``wrs``."""

    folder: str
    recipe: str
    model: nn.Module
    start: dict[str, Tensor]
    verdicts: list[Verdict]

    @property
    def rescaled(self) -> list[Verdict]:
        return [v for v in self.verdicts if v.selected]

    def wrapper(self, arm: str) -> OptimWrapper:
        config = load(self.folder, self.recipe, arm)
        return build_optim_wrapper(self.model, copy.deepcopy(config.optim_wrapper))

    def norms(self) -> dict[str, Tensor]:
        parameters = dict(self.model.named_parameters())
        return {v.name: filter_norms(parameters[v.name].double(), v.transposed_groups) for v in self.rescaled}

    def restart(self) -> None:
        self.model.load_state_dict(self.start)
        self.model.train()

    def train(self, wrapper: OptimWrapper) -> None:
        """Two steps from the start; the first image of each batch has no object."""
        with seeded(1):
            for step in range(STEPS):
                batch = random_batch(self.model, size=SIZE, seed=step, empty="first")
                losses = self.model.train_step(batch, wrapper)
                assert math.isfinite(float(losses["loss"]))


def build(folder: str, recipe: str) -> Subject:
    config = load(folder, recipe, "wrs")
    rcnn = (config.model.get("train_cfg") or {}).get("rcnn")
    if rcnn is not None:
        rcnn.sampler.num = 16  # RoIs of an image; a recipe's 512 take a minute each on one core
    model = build_model(config)
    verdicts = audit_model(model, random_batch(model, size=SIZE, empty="first"), **wrs_options_of(config))
    model.zero_grad()
    start = {name: value.clone() for name, value in model.state_dict().items()}
    return Subject(folder, recipe, model, start, verdicts)


def settings(model: nn.Module, wrapper: OptimWrapper) -> dict[str, dict[str, float]]:
    """By trained parameter, what the optimizer does to it: learning rate, weight decay, momentum, …"""
    of = {}
    for group in wrapper.optimizer.param_groups:
        for parameter in group["params"]:
            of[parameter] = {k: v for k, v in group.items() if type(v) in (int, float)}
    return {name: of[p] for name, p in model.named_parameters() if p.requires_grad}


def largest_difference(norms: dict[str, Tensor], others: Mapping[str, Tensor | float]) -> float:
    """The largest relative one."""
    return max(float((norms[name] / others[name] - 1).abs().max()) for name in norms)


def root_mean_square(norms: Tensor) -> float:
    """Of a weight's filters."""
    return float(norms.square().mean().sqrt())


def check_arm(subject: Subject, arm: str) -> None:
    """Train two steps with an arm and check that it leaves what it promises."""
    subject.restart()
    before = subject.norms()
    recipe = settings(subject.model, subject.wrapper("wd"))
    config = load(subject.folder, subject.recipe, arm)
    strength = config.optim_wrapper.optimizer.weight_decay
    wrapper = subject.wrapper(arm)
    subject.train(wrapper)
    after, found = subject.norms(), settings(subject.model, wrapper)

    assert len(before) == len(subject.rescaled) > 0
    assert found.keys() == recipe.keys() and strength > 0
    for name, its in found.items():
        if name in before:
            assert recipe[name]["weight_decay"] == strength
            expected = strength if arm in ("wd", "wrs_matched") else 0.0
            assert its == {**recipe[name], "weight_decay": expected}, name
        else:
            assert its == recipe[name], name
    if arm.startswith("wrs"):
        assert {v.name for v in wrapper.method.rescaled} == before.keys()
        assert not any(wrapper.method.skipped.values())
        target = config.optim_wrapper.wrs.get("target", "unit")
        start = {name: norms if target == "init" else torch.ones(1) for name, norms in before.items()}
        if arm == "wrs_matched":  # one factor for the filters of a weight, and none of them stands still
            factors = {n: root_mean_square(after[n]) / root_mean_square(start[n]) for n in start}
            assert max(abs(factor - 1) for factor in factors.values()) > 2 * MOVED
            start = {name: factors[name] * norms for name, norms in start.items()}
        assert largest_difference(after, start) < MOVED
    else:  # norms that nothing keeps do move within two steps: the check above can fail
        assert largest_difference(after, before) > 2 * MOVED
