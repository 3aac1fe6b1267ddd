"""How sharp the loss is where a training stands, and how sharp its learning rate lets it be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.registry import HOOKS
from torch import Tensor, nn

from wrs_mm.borrowed import kept_buffers, seeded
from wrs_mm.curvature import (
    Eigenvalue,
    HessianProduct,
    SphereHessianProduct,
    largest_eigenvalue,
    largest_stable_sharpness,
    twice_differentiable,
)
from wrs_mm.engine.hooks.measuring import losses, measured_before, require_whole_numbers
from wrs_mm.errors import OptionError
from wrs_mm.files import write_json
from wrs_mm.rescaling import RuledSteps, judge, observe
from wrs_mm.rescaling.models import unwrap
from wrs_mm.values import is_number

NAME = "sharpness.json"

_ONE_NORM = 1e-3
"""Squared norms that differ by less, as shares of their mean, count as one: a rescale leaves 1e-6."""


@HOOKS.register_module()
class SharpnessHook(Hook):
    """Before the first update and after every ``interval``, measures the sharpness of the training loss.

    That is the largest eigenvalue of the Hessian of the loss on one fixed batch, the first images of the data
    set, in all trained parameters; and of the loss on the unit sphere of the scale-invariant filters
    (:class:`~wrs_mm.curvature.SphereHessianProduct`), which does not depend on their norms. Beside them
    stands what the optimizer's steps could follow (:func:`~wrs_mm.curvature.largest_stable_sharpness`):
    ``(2 + 2α) / η``, and on the sphere that times ``‖w‖²`` where all filters have one norm, which is the same
    at the effective learning rate ``η / ‖w‖²``. Where norms differ, a third eigenvalue says how sharp the
    loss is where steps turn the filters at those norms; the edge on the sphere is then as far from the
    sharpness there as that is from ``(2 + 2α) / η``. Does training sit at this edge (Cohen et al., ICLR
    2021)? In a two-stage detector the proposals stand still, as they do for its gradient.

    The numbers go to mmengine's visualizer as ``sharpness/…`` and to ``sharpness.json`` in the work dir. The
    training is not changed: buffers and random numbers are put back, gradients are not touched.

    It costs a forward and two backward passes on the batch, and about two more for each product with a
    Hessian, up to ``3 · most_products``; the log says how many and how long. Beside the gradient's graph,
    about twice the memory of a step on that batch, it needs eight vectors of the parameters' size.

    The loss is in full precision, whatever the training's is. Of several processes one measures, and the
    others wait.

    Args:
        interval: In updates; a positive whole number.
        batch_size: How many images; BN normalizes over them, so at least 2.
        tolerance: The error of an eigenvalue that is small enough, as a share of it.
        most_products: After this many products of each Hessian it is given as it is, with its error.
        seed: Of augmentations, of what the forward draws and of where the search begins.

    Raises:
        OptionError: An option is out of its range.
    """

    priority = "NORMAL"

    def __init__(
        self,
        interval: int = 200,
        batch_size: int = 4,
        tolerance: float = 0.02,
        most_products: int = 50,
        seed: int = 0,
    ) -> None:
        require_whole_numbers(
            "SharpnessHook",
            seed,
            interval=(interval, 1),
            batch_size=(batch_size, 2),
            most_products=(most_products, 1),
        )
        if not is_number(tolerance) or not 0 < tolerance < 1:
            raise OptionError(f"SharpnessHook: tolerance must be between 0 and 1, not {tolerance!r}")
        self.interval, self.batch_size = interval, batch_size
        self.tolerance, self.most_products = tolerance, most_products
        self.seed = seed
        self._batch: Any = None
        self._file: Path | None = None
        self._measured: list[dict[str, Any]] = []

    def before_train(self, runner: Any) -> None:
        """Take the batch, and measure where the training starts.

        Raises:
            OptionError: There are several optimizers, or BN waits for other processes.
            ModelError: The model's loss cannot be differentiated twice.
        """
        if isinstance(runner.optim_wrapper, OptimWrapperDict):
            raise OptionError("SharpnessHook watches one optimizer, and this training has several")
        synchronized = any(isinstance(m, nn.SyncBatchNorm) for m in runner.model.modules())
        if get_world_size() > 1 and synchronized:
            raise OptionError(
                "SharpnessHook measures in one process, and synchronized BN waits for the others: "
                "train with BN, or with one process"
            )
        if not is_main_process():
            return
        with torch.random.fork_rng(), seeded(self.seed):
            loader = runner.train_dataloader
            count = min(self.batch_size, len(loader.dataset))
            self._batch = loader.collate_fn([loader.dataset[i] for i in range(count)])
        self._file = Path(runner.work_dir) / NAME
        self._measured = measured_before(self._file, runner)
        if not self._measured:
            self._measure(runner, runner.iter)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Measure, if it is time."""
        if self._batch is not None and (runner.iter + 1) % self.interval == 0:
            self._measure(runner, runner.iter + 1)

    def _measure(self, runner: Any, iteration: int) -> None:
        began = time.perf_counter()
        method = getattr(runner.optim_wrapper, "method", None)
        found, products = self._sharpness(
            unwrap(runner.model),
            runner.optim_wrapper.optimizer,
            method.rates() if isinstance(method, RuledSteps) else {},
        )
        # Where the loss overflows: whether the training has diverged is for others to say.
        found = {key: v if v is not None and math.isfinite(v) else None for key, v in found.items()}
        assert self._file is not None
        self._measured.append({"iteration": iteration, **found})
        write_json(self._file, self._measured)
        known = {f"sharpness/{key}": value for key, value in found.items() if value is not None}
        runner.visualizer.add_scalars(known, step=iteration)
        shown = ", ".join(f"{key} {'unknown' if v is None else format(v, '.4g')}" for key, v in found.items())
        seconds = time.perf_counter() - began
        runner.logger.info(
            f"sharpness after {iteration} updates: {shown} ({products} Hessian products, {seconds:.1f} s)"
        )

    def _sharpness(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        rates: Mapping[str, Tensor],
    ) -> tuple[dict[str, float | None], int]:
        """Largest eigenvalues and what the optimizer could stand, by the file's keys; how many products."""
        training = model.training
        model.train()
        # seeded leaves the generators of GPUs to fork_rng.
        with kept_buffers(model), torch.random.fork_rng(), seeded(self.seed), twice_differentiable():
            with observe(model) as observation:
                loss: Tensor = model.parse_losses(losses(model, self._batch))[0]
            trained = [p for p in model.parameters() if p.requires_grad]
            product = HessianProduct(loss, trained)
            plain = self._largest(product, product.size, trained[0])
            found: dict[str, float | None] = {
                "sharpness": plain.value,
                "error": plain.error,
                "stable": largest_stable_sharpness(optimizer),
                "sphere": None,
                "sphere_error": None,
                "sphere_stable": None,
            }
            products = plain.products
            by_name = dict(model.named_parameters())
            watched = [verdict for verdict in judge(observation) if verdict.watched]
            weights = [(by_name[verdict.name], verdict.transposed_groups) for verdict in watched]
            if weights:
                sphere = SphereHessianProduct(loss, weights)
                on_sphere = self._largest(sphere, sphere.size, weights[0][0])
                found["sphere"], found["sphere_error"] = on_sphere.value, on_sphere.error
                products += on_sphere.products
                stable = found["stable"]
                if stable is not None:
                    own = [rates.get(verdict.name, 1.0) for verdict in watched]
                    felt, more = self._felt_square(loss, weights, sphere, on_sphere.value, own)
                    found["sphere_stable"] = stable * felt
                    products += more
        model.train(training)
        return found, products

    def _felt_square(
        self,
        loss: Tensor,
        weights: Sequence[tuple[Tensor, int]],
        sphere: SphereHessianProduct,
        on_sphere: float,
        rates: Sequence[Tensor | float],
    ) -> tuple[float, int]:
        """The squared norm at which steps feel the sharpness on the sphere, and how many products it took.

        Args:
            loss: Of the batch.
            weights: As of SphereHessianProduct.
            sphere: Of them.
            on_sphere: Its largest eigenvalue.
            rates: For each weight, factors on the learning rate.
        """
        squares = torch.cat([s / rate for s, rate in zip(sphere.squared_norms(), rates, strict=True)])
        squares = squares[squares > 0]
        mean = float(squares.mean())
        if float((squares / mean - 1).abs().max()) < _ONE_NORM:
            return mean, 0
        turning = SphereHessianProduct(loss, weights, [torch.as_tensor(rate) ** 0.5 for rate in rates])
        found = self._largest(turning, turning.size, weights[0][0])
        known = on_sphere > 0 and found.value > 0
        return on_sphere / found.value if known else math.nan, found.products

    def _largest(self, product: Callable[[Tensor], Tensor], size: int, like: Tensor) -> Eigenvalue:
        generator = torch.Generator().manual_seed(self.seed)
        start = torch.randn(size, generator=generator).to(like)
        return largest_eigenvalue(product, start, tolerance=self.tolerance, most_products=self.most_products)
