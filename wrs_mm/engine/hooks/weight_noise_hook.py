"""How much of the filters lies where no gradient leads, before and after a training."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch import nn

from wrs_mm.borrowed import kept_buffers, seeded
from wrs_mm.engine.hooks.measuring import losses, measured_before, require_whole_numbers
from wrs_mm.features.patches import grouped_filters, owners, reach
from wrs_mm.features.sampling import sampled
from wrs_mm.features.span import SeenPatches
from wrs_mm.files import write_json
from wrs_mm.rescaling import judge, observe
from wrs_mm.rescaling.models import unwrap

NAME = "weight_noise.json"

_ENOUGH = 64
"""Of so many times as many patches as a filter has values, more would add nothing."""


@HOOKS.register_module()
class WeightNoiseHook(Hook):
    """Before the first update and after the last, measures the weight noise of some layers.

    A filter's gradient lies in the span of the input patches that it sees
    (:mod:`wrs_mm.features.span`). The share of a filter's energy ``‖w‖²`` outside is noise that SGD never
    touches, and that weight decay and rescaling shrink with all the rest (Liu et al., arXiv 2102.03497;
    docs/theory.md). Here the span is that of the first images of the training set, through the training
    pipeline, with the network as it stands and in train mode.

    The numbers go to mmengine's visualizer as ``weight_noise/…`` and to ``weight_noise.json`` in the work
    dir. The training is not changed: buffers and random numbers are put back. It costs a forward of each
    image, and a singular value decomposition for each layer. Of several processes one measures.

    Layers late in a network see few patches an image, and n patches span n dimensions at most: ``unseen``
    says of each how much of the energy of other images' patches lies outside too, and where that is not near
    zero, more images are wanted.

    Args:
        images: How many images are looked at; a quarter of them more are the unseen ones.
        batch_size: How many at once; BN normalizes over them, so at least 2.
        layers: How many layers, at most: of the scale-invariant ones, evenly over the network.
        seed: Of augmentations and of what the forward draws.

    Raises:
        OptionError: An option is out of its range.
    """

    priority = "NORMAL"

    def __init__(self, images: int = 128, batch_size: int = 4, layers: int = 8, seed: int = 0) -> None:
        require_whole_numbers(
            "WeightNoiseHook", seed, images=(images, 2), batch_size=(batch_size, 2), layers=(layers, 1)
        )
        self.images, self.batch_size, self.layers, self.seed = images, batch_size, layers, seed
        self._measured: list[dict[str, Any]] = []

    def before_train(self, runner: Any) -> None:
        """Measure where the training starts; a training that is resumed has done so."""
        if not is_main_process():
            return
        self._measured = measured_before(Path(runner.work_dir) / NAME, runner)
        if not self._measured:
            self._measure(runner)

    def after_train(self, runner: Any) -> None:
        """Measure where the training ends."""
        if is_main_process() and not any(entry["iteration"] == runner.iter for entry in self._measured):
            self._measure(runner)

    def _measure(self, runner: Any) -> None:
        began = time.perf_counter()
        model = unwrap(runner.model)
        training = model.training
        model.train()
        with kept_buffers(model), torch.random.fork_rng(), seeded(self.seed):
            found = self._noise(model, runner.train_dataloader)
        model.train(training)
        self._measured.append({"iteration": runner.iter, "layers": found})
        write_json(Path(runner.work_dir) / NAME, self._measured)
        if not found:
            runner.logger.warning("weight noise: no scale-invariant layer whose patches could be told")
            return
        share = sum(one["share"] for one in found) / len(found)
        runner.visualizer.add_scalars({"weight_noise/share": share}, step=runner.iter)
        runner.logger.info(
            f"weight noise after {runner.iter} updates: {100 * share:.2f} % of the filters' energy lies "
            f"outside what {self.images} images span, the mean of {len(found)} layers "
            f"({time.perf_counter() - began:.1f} s)"
        )

    def _noise(self, model: nn.Module, loader: Any) -> list[dict[str, Any]]:
        """A row for each layer."""
        dataset = loader.dataset
        last = min(self.images + max(self.images // 4, self.batch_size), len(dataset))
        with observe(model) as observation:
            losses(model, loader.collate_fn([dataset[i] for i in range(min(self.batch_size, last))]))
        names = [verdict.name for verdict in judge(observation) if verdict.watched]
        watches = [_Watch(name, model) for name in sampled(model, names, self.layers)]
        try:
            with torch.no_grad():
                for begin in range(0, last, self.batch_size):
                    images = [dataset[i] for i in range(begin, min(begin + self.batch_size, last))]
                    if len(images) == 1:
                        break  # a batch of one has no statistics
                    for watch in watches:
                        watch.fresh = begin >= self.images
                    losses(model, loader.collate_fn(images))
        finally:
            for watch in watches:
                watch.close()
        return [watch.row() for watch in watches]


class _Watch:
    """Gathers what one layer sees."""

    def __init__(self, name: str, model: nn.Module) -> None:
        self.name = name
        self.fresh = False
        self._modules = owners(model, name)
        self._filters = grouped_filters(self._modules[0], model.get_parameter(name).detach()).cpu()
        rounding = torch.finfo(self._filters.dtype).eps
        self._seen, self._unseen = SeenPatches(rounding), SeenPatches(rounding)
        self._handles = [module.register_forward_pre_hook(self._look) for module in self._modules]

    def _look(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        kept = self._unseen if self.fresh else self._seen
        if kept.count < _ENOUGH * self._filters.shape[-1]:
            kept.add(reach(module, args[0].detach()).cpu())

    def close(self) -> None:
        """Leave the model alone."""
        for handle in self._handles:
            handle.remove()

    def row(self) -> dict[str, Any]:
        """What is kept of the layer."""
        span = self._seen.span()
        rest = self._unseen.rows() if self._unseen.count else None
        return {
            "layer": self.name,
            "size": span.size,
            "patches": span.patches,
            "rank": sum(span.ranks) / len(span.ranks),
            "share": float(span.share_outside(self._filters).mean()),
            "unseen": None if rest is None else span.share_of_all(rest),
        }
