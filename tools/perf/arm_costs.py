"""What each arm's step costs beside that of the arm ``wd``, in one process; used by step_cost.py.

Every arm acts on the same weights with the same made-up gradients, in turn; what is compared are medians of
one run, and the bytes of tensors that stay between two steps. Forward and backward are not in it. Of an arm
that trains other layers they are what it costs: its whole training step is compared, and the bytes of tensors
that the forward keeps for the backward.
"""

from __future__ import annotations

import copy
import functools
import gc
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision
from marked import write_marked
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import Tensor, nn

from wrs_mm import regularizers
from wrs_mm.errors import UsageError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch, train_loss

CARDS = Path(__file__).resolve().parents[2] / "docs" / "regularizers"
BASELINE = "wd"
RECIPES = {
    "resnet50": "ResNet-50",
    "coco/mask-rcnn_r50_fpn_syncbn_1x_coco": "Mask R-CNN R50-FPN",
}
"""What is measured unless said otherwise, and what cards call it."""

FROM_SCRATCH = "coco/mask-rcnn_r50-scratch_fpn_syncbn_6x_coco"
"""Where other layers are tried: they refuse pretrained weights."""

WHOLE_STEP_SIZE = 256
"""Pixels of the images of whole steps: on smaller ones the regions' heads hide what the backbone keeps."""

Row = dict[str, Any]
"""``arm``, ``model``, ``threads``, ``ratio`` to the baseline's step, ``memory`` beside it in weights."""


def held_bytes() -> int:
    """Of all tensors that Python holds, each storage once."""
    gc.collect()
    storages: dict[int, int] = {}
    for thing in gc.get_objects():
        if type(thing) in (Tensor, nn.Parameter) and thing.layout is torch.strided:
            storage = thing.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


class _Subject:
    """A model with gradients, its recipe, and its loss on a made-up batch."""

    def __init__(self, name: str, size: int, optimizer: str | None = None) -> None:
        self.size = size
        if hasattr(torchvision.models, name):
            sgd = {"type": "SGD", "lr": 1e-4, "momentum": 0.9, "weight_decay": 1e-4}
            self.config = Config({"optim_wrapper": {"type": "OptimWrapper", "optimizer": sgd}})
            self.model = getattr(torchvision.models, name)()
        else:
            self.config = load_config(name)
            self.config.optim_wrapper.optimizer.lr = 1e-4
            self.model = build_model(self.config)
        if optimizer is not None:
            self.config.optim_wrapper.optimizer = {"type": optimizer, "lr": 1e-4, "weight_decay": 1e-4}

    def loss(self) -> Tensor:
        if "model" in self.config:
            return train_loss(self.model, random_batch(self.model, size=(self.size, self.size)), seed=0)
        return self.model(torch.randn(2, 3, self.size, self.size)).sum()

    def give_gradients(self) -> None:
        for parameter in self.model.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.randn_like(parameter) * 1e-3

    def stepping(self, arm: str) -> tuple[Callable[[], None], int]:
        """Steps of an arm that has found its weights, and how many: as many as it does something new in."""
        config = regularizers.apply_regularizer(self.config, arm)
        wrapper = build_optim_wrapper(self.model, copy.deepcopy(config.optim_wrapper))
        with wrapper.optim_context(self.model):
            self.loss()
        self.give_gradients()  # a detector's or segmentor's loss leaves none
        interval = config.optim_wrapper.get("pbwn", {}).get("interval", 1)

        def steps() -> None:
            for _ in range(interval):
                wrapper.optimizer.step()

        return steps, interval


def changes_layers(arm: str) -> bool:
    """Whether an arm takes the whole config, and so may build another model."""
    return next(iter(inspect.signature(regularizers.find(arm)).parameters)) == "cfg"


def kept_bytes(loss: Callable[[], Tensor]) -> int:
    """Of the tensors that a forward keeps for its backward, each storage once."""
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = loss()  # alive until all are counted: no storage takes the place of another
    del result
    return sum(storages.values())


def measure_whole_steps(
    name: str,
    arms: Sequence[str],
    threads: Sequence[int],
    repeats: int,
    size: int,
    interleaved: Callable[[dict[str, Callable[[], None]], int], dict[str, float]],
) -> list[Row]:
    """Arms that train other layers, on a recipe that starts from random weights; the baseline first.

    ``memory`` is what a forward keeps, of what the baseline's keeps.
    """
    steps: dict[str, Callable[[], None]] = {}
    kept: dict[str, int] = {}
    for arm in dict.fromkeys((BASELINE, *arms)):
        config = regularizers.apply_regularizer(load_config(name), arm, lr=1e-4)
        model = build_model(config)
        batch = random_batch(model, size=(size, size))
        kept[arm] = kept_bytes(functools.partial(train_loss, model, batch, seed=0))
        wrapper = build_optim_wrapper(model, copy.deepcopy(config.optim_wrapper))
        steps[arm] = functools.partial(model.train_step, batch, wrapper)
    memory = {arm: kept[arm] / kept[BASELINE] for arm in steps}
    label = f"`{name}`, images of {size} pixels"
    return _rows(label, steps, dict.fromkeys(steps, 1), memory, threads, repeats, interleaved)


def measure(
    name: str,
    arms: Sequence[str],
    threads: Sequence[int],
    repeats: int,
    size: int,
    interleaved: Callable[[dict[str, Callable[[], None]], int], dict[str, float]],
    optimizer: str | None = None,
) -> list[Row]:
    """All arms on one model, the baseline first; one that cannot be measured is printed with its reason."""
    subject = _Subject(name, size, optimizer)
    subject.give_gradients()
    weights = sum(p.numel() * p.element_size() for p in subject.model.parameters())
    steps: dict[str, Callable[[], None]] = {}
    counts: dict[str, int] = {}
    memory: dict[str, float] = {}
    for arm in dict.fromkeys((BASELINE, *arms)):
        before = held_bytes()
        try:
            steps[arm], counts[arm] = subject.stepping(arm)
        except UsageError as error:
            print(f"{arm}: not measured on {name}: {error}")
            continue
        for _ in range(2):
            steps[arm]()
        memory[arm] = (held_bytes() - before) / weights
    beside = {arm: memory[arm] - memory[BASELINE] for arm in steps}
    return _rows(RECIPES.get(name, name), steps, counts, beside, threads, repeats, interleaved)


def _rows(
    model: str,
    steps: dict[str, Callable[[], None]],
    counts: dict[str, int],
    memory: dict[str, float],
    threads: Sequence[int],
    repeats: int,
    interleaved: Callable[[dict[str, Callable[[], None]], int], dict[str, float]],
) -> list[Row]:
    """Time the steps with each number of threads; ``counts`` says how many a call makes."""
    rows = []
    usual = torch.get_num_threads()
    for count in threads:
        torch.set_num_threads(count)
        seconds = interleaved(steps, repeats)
        for arm in steps:
            ratio = seconds[arm] / counts[arm] / seconds[BASELINE]
            rows.append({"arm": arm, "model": model, "threads": count, "ratio": ratio, "memory": memory[arm]})
    torch.set_num_threads(usual)
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows of one arm, as Markdown."""
    head = "| weights of | threads | step, of that with WD | memory held beside it, of the weights' |"
    if changes_layers(rows[0]["arm"]):
        head = "| training step of | threads | time, of that with WD | kept for the backward pass, of WD's |"
    lines = [head, "|---|--:|--:|--:|"]
    for row in rows:
        memory = round(row["memory"], 2) + 0.0  # adding 0 makes a zero of a minus zero
        lines.append(f"| {row['model']} | {row['threads']} | {row['ratio']:.2f} | {memory:.2f} |")
    return "\n".join(lines)


def write_card(card: Path, rows: Sequence[Row], where: str) -> bool:
    """Put an arm's rows into its card; False where there is no card, or no place for them in it."""
    head = f"By `python tools/perf/step_cost.py --arms --cards`, {where}; medians of one run:"
    return write_marked(card, "step_cost", f"{head}\n\n{table(rows)}")
