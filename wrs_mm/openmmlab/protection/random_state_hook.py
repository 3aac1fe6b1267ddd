"""Random-number states in checkpoints, so that a resumed run is the run that was interrupted.

mmengine's checkpoints carry none. What makes the two runs one, bit for bit on CPU:

* every checkpoint holds each rank's states, and the seed of the training sampler;
* they are put back right before the first new batch is loaded, after an iteration-based loop has skipped
  the batches that it had seen;
* a validation in between leaves them as they were (a resumed run does not repeat it);
* what a sample draws depends on the sample alone (:mod:`~wrs_mm.openmmlab.protection.sample_seeds`).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import print_log
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from wrs_mm.openmmlab.protection.sample_seeds import SeededLoader

RANDOM_STATES = "random_states"
"""Their key in a checkpoint."""


def random_state() -> dict[str, Any]:
    """The states of Python's, numpy's and torch's generators, in plain types and tensors."""
    version, keys, gauss = random.getstate()
    algorithm, words, position, has_gauss, cached = np.random.get_state()
    return {
        "python": (version, keys, gauss),
        "numpy": (
            algorithm,
            torch.from_numpy(np.asarray(words, dtype=np.int64)),
            position,
            has_gauss,
            cached,
        ),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put back what :func:`random_state` returned."""
    random.setstate(state["python"])
    algorithm, words, *rest = state["numpy"]
    np.random.set_state((algorithm, words.cpu().numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Saves and restores random-number states.

    A protected training has it. Elsewhere add it with ``custom_hooks=[dict(type='RandomStateHook')]``; there
    worker processes of a data loader draw random numbers that it does not reach, and the log says so.

    Args:
        sample_seeds: Whether each training sample has random numbers of its own. None: in a protected
            training; elsewhere there are none.
    """

    # Right before CheckpointHook, so that the ranks meet when it is about to save.
    priority = "LOW"

    def __init__(self, sample_seeds: bool | None = None) -> None:
        self.sample_seeds = sample_seeds
        self._states: list[dict[str, Any]] | None = None
        self._resumed: dict[str, Any] | None = None
        self._seen = 0
        self._before_val: dict[str, Any] | None = None

    # -- saving ---------------------------------------------------------------------------------------

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Forget what was gathered at an earlier iteration."""
        self._states = None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Gather where an iteration-based checkpoint is due; only rank 0 writes it."""
        if any(_iteration_checkpoint_due(runner, hook) for hook in _checkpoint_hooks(runner)):
            self._gather()

    def after_train_epoch(self, runner: Runner, metrics: Any = None) -> None:
        """Gather where an epoch-based checkpoint may be due."""
        self._gather()

    def _gather(self) -> None:
        self._states = all_gather_object(random_state())

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the states of all ranks."""
        states = self._states if get_world_size() > 1 else [self._before_val or random_state()]
        if states is None:
            return  # someone saved by hand, between two iterations: no state of the other ranks
        done = checkpoint["meta"]
        checkpoint[RANDOM_STATES] = {
            "ranks": states,
            "sampler_seed": getattr(_sampler(runner), "seed", None),
            "seen": _seen(runner, done["epoch"], done["iter"]),
        }

    # -- restoring ------------------------------------------------------------------------------------

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the states for later: much happens between loading and the first batch."""
        self._resumed = checkpoint.get(RANDOM_STATES)

    def before_train(self, runner: Runner) -> None:
        """Say what a resumed run cannot repeat; put back the sampler's seed."""
        seeded = isinstance(runner.train_dataloader, SeededLoader)
        if self.sample_seeds and not seeded:
            _warn("sample_seeds=True does nothing here: train with wrs-mm train, or a script of tools/")
        if not runner._resume or runner.iter == 0:
            self._resumed = None
            return
        workers = runner.train_dataloader.num_workers
        if self._resumed is None:
            _warn(
                "the checkpoint holds no random-number states: this run is not the one that was interrupted"
            )
            self._seen = _seen(runner, runner.epoch, runner.iter)
            return
        if (seed := self._resumed["sampler_seed"]) is not None:
            _sampler(runner).seed = seed
        self._seen = self._resumed.get("seen", _seen(runner, runner.epoch, runner.iter))
        if len(self._resumed["ranks"]) != get_world_size():
            count = len(self._resumed["ranks"])
            _warn(f"the checkpoint is of {count} processes: random numbers go on from new states")
            self._resumed = None
        elif workers and not seeded:
            _warn(
                f"num_workers={workers}: worker processes draw random numbers of their own, so this run is "
                "not bit for bit the one that was interrupted"
            )
        elif self._seen and not seeded and not _by_iteration(runner):
            _warn(
                "the checkpoint is from the middle of an epoch, which begins anew here; it would go on in a "
                "protected training without sample_seeds=False"
            )

    def before_train_epoch(self, runner: Runner) -> None:
        """Restore, now or once an iteration-based loop has skipped what it had seen."""
        loop, loader = runner.train_loop, runner.train_dataloader
        seen, self._seen = self._seen, 0
        if isinstance(loader, SeededLoader):
            loader.batch_sampler.epoch, loader.batch_sampler.skip = runner.epoch, seen
            if seen and _by_iteration(runner):
                # What the loop skips is nothing: the sampler has been led past it.
                nothing = itertools.repeat(None, seen)
                loop.dataloader_iterator = itertools.chain(nothing, loop.dataloader_iterator)
        if self._resumed is None:
            return
        state, self._resumed = self._resumed["ranks"][get_rank()], None
        if _by_iteration(runner):
            loop.dataloader_iterator = _restore_after(loop.dataloader_iterator, runner.iter, state)
        else:
            set_random_state(state)

    def restore_now(self) -> None:
        """Restore already before the training proper begins, for who validates then; later once more."""
        if self._resumed is not None:
            set_random_state(self._resumed["ranks"][get_rank()])

    # -- validation -----------------------------------------------------------------------------------

    def before_val(self, runner: Runner) -> None:
        """Note the states that training goes on from, also for the best checkpoint, saved in between."""
        self._before_val = random_state()
        self._states = all_gather_object(self._before_val)

    def after_val(self, runner: Runner) -> None:
        """Put them back."""
        if self._before_val is not None:
            set_random_state(self._before_val)
            self._before_val = None


def _restore_after(batches: Iterator, count: int, state: dict[str, Any]) -> Iterator:
    """The same batches, with the random state put back before number ``count`` is loaded."""
    for _ in range(count):
        yield next(batches)
    set_random_state(state)
    yield from batches


def _by_iteration(runner: Runner) -> bool:
    """Whether the training loop counts updates, not epochs."""
    return hasattr(runner.train_loop, "dataloader_iterator")


def _seen(runner: Runner, epoch: int, iteration: int) -> int:
    """Batches that a resumed loop has seen of what its data loader gives anew."""
    if _by_iteration(runner):
        return iteration
    return max(0, iteration - epoch * len(runner.train_dataloader))


def _sampler(runner: Runner) -> Any:
    """The sampler of the training data; a batch sampler of the config's own has it."""
    loader = runner.train_dataloader
    return getattr(loader.batch_sampler, "sampler", None) or loader.sampler


def _checkpoint_hooks(runner: Runner) -> list[CheckpointHook]:
    """The runner's checkpoint hooks."""
    return [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]


def _iteration_checkpoint_due(runner: Runner, hook: CheckpointHook) -> bool:
    """Whether the hook saves after this iteration (as in its ``after_train_iter``)."""
    if hook.by_epoch:
        return False
    return hook.every_n_train_iters(runner, hook.interval, hook.save_begin) or (
        hook.save_last and hook.is_last_train_iter(runner)
    )


def _warn(message: str) -> None:
    """A line in the run's log."""
    print_log(message, logger="current", level=30)
