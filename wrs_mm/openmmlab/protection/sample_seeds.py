"""Each sample's random numbers from (seed, pass, index), whichever process loads it, and whenever.

A data loader's workers draw from generators of their own, that go on from sample to sample; without workers
samples draw from the training's. So what an image's augmentation is depends on how many workers there are
and on what was loaded before, and no checkpoint holds what workers are at. Here each sample is drawn with
generators that are seeded for it alone, and that the training's do not notice: the same for any number of
workers and, where the batches are the same, of processes. So a resumed training needs no batch that it has
seen: the sampler is led past them, and nothing is loaded.

It reaches Python's, numpy's and torch's global generators, which transforms of mmcv, mmdet and mmseg draw
from, also where a dataset wrapper picks further images. A transform that keeps images from one sample for
the next (mmdet's CachedMosaic and CachedMixUp), or has a generator of its own, is beyond it.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dist import get_dist_info
from torch.utils.data import DataLoader

from wrs_mm.borrowed import kept_generators
from wrs_mm.openmmlab.distributed import exit_with_launcher


class Draw(NamedTuple):
    """A sample to load.

    Attributes:
        index: Its number in the dataset, as the sampler gave it.
        key: What its random numbers are made from.
    """

    index: Any
    key: tuple[Any, ...]


class SeededBatches:
    """A batch sampler that says of each sample what its random numbers are made from.

    A sample's key is (seed, epoch, pass, index): the epoch counts the passes of a finite sampler, the pass
    those of an infinite one through the dataset. Where a sampler gives a sample more than once in a pass, its
    position is a part of the later keys.

    Args:
        batches: The batch sampler; an attribute ``sampler`` of it, and its ``seed``, are used where they are.
        size: Samples in the dataset.
        seed: Of a sampler that has none.

    Attributes:
        batch_size: That of the batch sampler, if it has one.
        epoch: Of the next pass.
        skip: Batches at its beginning that have been seen already: they are given without samples.
    """

    def __init__(self, batches: Any, size: int, seed: int) -> None:
        self._batches = batches
        self._size = size
        self._seed = seed
        self.batch_size = getattr(batches, "batch_size", None)
        self.epoch = 0
        self.skip = 0

    @property
    def sampler(self) -> Any:
        """Where batches come from; mmengine tells it the epoch."""
        return self._batches.sampler

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Draw]]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        seed = getattr(getattr(self, "sampler", None), "seed", None)
        seed = self._seed if seed is None else seed
        # Processes take turns at a sampler's order: a sample is in the pass that it is in with one of them.
        position, step = get_dist_info()
        now, seen = 0, set[Any]()
        for batch in self._batches:
            draws = []
            for index in batch:
                if position // self._size != now:
                    now, seen = position // self._size, set()
                again = (position,) if index in seen else ()
                seen.add(index)
                draws.append(Draw(index, (seed, epoch, now, index, *again)))
                position += step
            if self.skip:
                self.skip -= 1
                draws = []
            yield draws


class SeededLoader(DataLoader):
    """A data loader whose samples have the random numbers of their keys.

    It begins when its first batch is asked for: mmengine's loops ask for the iterator before a training is
    resumed, and workers would load what comes first.

    Args:
        loader: The data loader that it is, but for that.
        seed: As :class:`SeededBatches`.
    """

    batch_sampler: SeededBatches

    def __init__(self, loader: DataLoader, seed: int) -> None:
        dataset: Any = loader.dataset
        # A protocol of torch's, asked of the instance: so the dataset stays what hooks expect it to be.
        dataset.__getitems__ = partial(_load, dataset)
        super().__init__(
            dataset,
            batch_sampler=SeededBatches(loader.batch_sampler, len(dataset), seed),
            num_workers=loader.num_workers,
            collate_fn=partial(_collate, loader.collate_fn),
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=partial(_begin_worker, loader.worker_init_fn),
            multiprocessing_context=loader.multiprocessing_context,
            # A loader draws from it when it begins, persistent workers or not: not from the training's.
            generator=torch.Generator(),
            prefetch_factor=loader.prefetch_factor,
            persistent_workers=loader.persistent_workers,
            pin_memory_device=loader.pin_memory_device,
        )
        # mmengine scales learning rates by it. Where batches are given torch forgets it, for good.
        self.__dict__["batch_size"] = self.batch_sampler.batch_size

    def __iter__(self) -> Iterator[Any]:
        for batch in super().__iter__():
            if batch is not None:
                yield batch


def seed_samples(runner: Any) -> None:
    """Have a runner that does not train yet load its training samples by :class:`SeededLoader`.

    Args:
        runner: mmengine's runner.
    """
    config = runner._train_dataloader
    different = runner._randomness_cfg.get("diff_rank_seed", False)
    loader = runner.build_dataloader(config, seed=runner.seed, diff_rank_seed=different)
    runner._train_dataloader = SeededLoader(loader, runner.seed)


def _load(dataset: Any, draws: Sequence[Draw]) -> list[Any]:
    """Load samples, each with its random numbers."""
    if not all(isinstance(draw, Draw) for draw in draws):
        return [dataset[index] for index in draws]  # somebody else's loader
    samples = []
    with kept_generators():
        for draw in draws:
            _seed_generators(draw.key)
            samples.append(dataset[draw.index])
    return samples


def _collate(collate: Callable[[list[Any]], Any], samples: list[Any]) -> Any:
    """A batch of samples; None for one that was seen already."""
    return collate(samples) if samples else None


def _begin_worker(begin: Callable[[int], None] | None, number: int) -> None:
    """End a worker with the process that it loads for, and not by Ctrl-C, which that answers.

    One that lived on would hold the locks of the training that was killed. (SIGTERM is torch's.)
    """
    exit_with_launcher()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if begin is not None:
        begin(number)


def _seed_generators(key: Iterable[Any]) -> None:
    # Words of its own for each: Python's and numpy's generators are the same one.
    words = np.random.SeedSequence([int(part) for part in _flat(key)]).generate_state(12)
    random.seed(_number(words[:4]))
    np.random.seed(words[4:8])
    torch.default_generator.manual_seed(_number(words[8:10]))


def _number(words: np.ndarray) -> int:
    return int.from_bytes(words.astype("<u4").tobytes(), "little")


def _flat(key: Iterable[Any]) -> Iterator[Any]:
    """The numbers of a key; the index of a sample of mmdet's tracking is several."""
    for part in key:
        if isinstance(part, Iterable):
            yield from _flat(part)
        else:
            yield part
