"""A sample's random numbers are those of its place in a training, whoever loads it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.dataset import sampler as mmengine_sampler
from torch.utils.data import BatchSampler, DataLoader, Dataset

from wrs_mm.openmmlab.protection import sample_seeds
from wrs_mm.openmmlab.protection.random_state_hook import random_state
from wrs_mm.openmmlab.protection.sample_seeds import Draw, SeededBatches, SeededLoader

SIZE = 7


class Drawn(Dataset):
    """Samples that are what they draw, and from which generator."""

    def __init__(self) -> None:
        self.loaded = 0

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, index: int) -> tuple[int, float, float, float]:
        self.loaded += 1
        return index, random.random(), float(np.random.rand()), float(torch.rand((), dtype=torch.float64))


def loader(workers: int = 0, *, persistent: bool = False, infinite: bool = False) -> SeededLoader:
    """Batches of two."""
    data = Drawn()
    kind = InfiniteSampler if infinite else DefaultSampler
    batches = BatchSampler(kind(data, seed=3), 2, False)
    plain = DataLoader(
        data, batch_sampler=batches, num_workers=workers, persistent_workers=persistent, collate_fn=list
    )
    return SeededLoader(plain, seed=3)


def passes(of: SeededLoader, count: int = 2) -> list[Any]:
    """All batches of so many epochs."""
    found = []
    for epoch in range(count):
        of.batch_sampler.sampler.set_epoch(epoch)
        found.extend(of)
    return found


WORKERS = [(2, False), (2, True), (4, False), (4, True)]


@pytest.mark.parametrize(("workers", "persistent"), WORKERS)
def test_samples_are_the_same_for_any_number_of_workers(workers: int, persistent: bool) -> None:
    expected = passes(loader())
    assert len(expected) == 2 * 4
    assert passes(loader(workers, persistent=persistent)) == expected
    infinite = list(itertools.islice(loader(infinite=True), 9))
    other = loader(workers, persistent=persistent, infinite=True)
    assert list(itertools.islice(other, 9)) == infinite


def test_no_two_samples_and_no_two_generators_draw_the_same_numbers() -> None:
    samples = [sample for batch in passes(loader(), 3) for sample in batch]
    samples += [sample for batch in itertools.islice(loader(infinite=True), 4, 12) for sample in batch]
    numbers = [number for sample in samples for number in sample[1:]]
    assert len(set(numbers)) == len(numbers) == 3 * (3 * SIZE + 16)


def test_the_training_s_generators_do_not_notice() -> None:
    before = random_state()
    passes(loader())
    passes(loader(2))
    after = random_state()
    assert before["python"] == after["python"]
    assert torch.equal(before["numpy"][1], after["numpy"][1]) and before["numpy"][2:] == after["numpy"][2:]
    assert torch.equal(before["torch"], after["torch"])


@pytest.mark.parametrize("infinite", [False, True])
@pytest.mark.parametrize(("workers", "persistent"), [(0, False), *WORKERS[:2]])
def test_what_was_seen_is_passed_over_and_not_loaded(workers: int, persistent: bool, infinite: bool) -> None:
    expected = list(itertools.islice(loader(infinite=infinite), 4))
    resumed = loader(workers, persistent=persistent, infinite=infinite)
    # mmengine's loop asks before anybody knows what to pass over.
    batches = iter(resumed)
    resumed.batch_sampler.skip = 3
    assert list(itertools.islice(batches, 1)) == expected[3:]
    if not workers:
        assert resumed.dataset.loaded == len(expected[3])


def keys(batches: Iterator[list[Draw]], steps: int) -> list[set[tuple[int, ...]]]:
    return [{draw.key for draw in batch} for batch in itertools.islice(batches, steps)]


@pytest.mark.parametrize("kind", [DefaultSampler, InfiniteSampler])
def test_processes_that_share_a_batch_draw_what_one_process_draws(kind: Any, monkeypatch) -> None:
    def of_rank(rank: int, world: int, size: int) -> list[set[tuple[int, ...]]]:
        for module in (sample_seeds, mmengine_sampler):
            monkeypatch.setattr(module, "get_dist_info", lambda: (rank, world))
        batches = SeededBatches(BatchSampler(kind(Drawn(), seed=3), size, False), SIZE, 0)
        batches.sampler.set_epoch(batches.epoch)
        return keys(iter(batches), 4 if kind is InfiniteSampler else 1)

    one = of_rank(0, 1, 4)
    first, second = of_rank(0, 2, 2), of_rank(1, 2, 2)
    assert [a | b for a, b in zip(first, second, strict=True)] == one
    assert all(len(batch) == 4 for batch in one)


def test_a_sample_that_comes_again_within_a_pass_draws_other_numbers() -> None:
    batches = SeededBatches(BatchSampler([5, 5, 1, 5], 2, False), 4, seed=9)
    found = [draw.key for batch in batches for draw in batch]
    assert found == [(9, 0, 0, 5), (9, 0, 0, 5, 1), (9, 0, 0, 1), (9, 0, 0, 5, 3)]
    # An index of several numbers, as of a frame of a video.
    (batch,) = SeededBatches([[(2, 7)]], 4, seed=9)
    assert sample_seeds._load({(2, 7): "frame"}, batch) == ["frame"]
