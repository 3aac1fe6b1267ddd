"""The hook in real Runners: it measures what no patch reaches, and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor
from toy_training import Images, PlainNetwork, runner

from wrs_mm.engine.hooks import WeightNoiseHook
from wrs_mm.errors import OptionError

HOOK = {"type": "WeightNoiseHook", "images": 6, "batch_size": 3}
PLAIN = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9}}


def grey(self: Images, index: int) -> dict[str, Tensor]:
    """An image whose channels all say the same, as those of a microscope do."""
    generator = torch.Generator().manual_seed(index)
    return {"x": torch.randn(1, 10, 10, generator=generator).expand(3, 10, 10).clone()}


@pytest.fixture
def grey_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Images, "__getitem__", grey)


def trained(folder: Path, *hooks: dict[str, Any], **more: Any) -> Runner:
    made = runner(folder, by_epoch=False, name=folder.name, custom_hooks=list(hooks), **more)
    made.optim_wrapper = PLAIN
    made.train()
    return made


def entries(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "weight_noise.json").read_text())
    return found


def test_it_changes_nothing(tmp_path: Path) -> None:
    without, made = trained(tmp_path / "without"), trained(tmp_path / "with", HOOK)
    for name, expected in without.model.state_dict().items():
        assert torch.equal(expected, made.model.state_dict()[name]), name
    found = entries(tmp_path / "with")
    assert [entry["iteration"] for entry in found] == [0, 16]
    assert [[row["layer"] for row in entry["layers"]] for entry in found] == [
        ["stem.0.weight", "block.0.weight"]
    ] * 2


def test_the_share_is_that_of_a_projection_on_what_the_patches_span(
    tmp_path: Path, grey_images: None
) -> None:
    """Of three equal channels a third of a filter's directions is reached; the rest no update touches."""
    start = runner(tmp_path / "start", by_epoch=False, name="start").model.stem[0].weight.detach()
    made = trained(tmp_path / "run", HOOK)
    images = torch.stack([grey(made.train_dataloader.dataset, i)["x"] for i in range(6)])
    patches = F.unfold(images, 3).transpose(1, 2).reshape(-1, 27).double().numpy()
    reached = np.linalg.pinv(patches) @ patches
    assert np.linalg.matrix_rank(patches.astype(np.float32)) == 9
    first, last = (
        filters.flatten(1).double().numpy() for filters in (start, made.model.stem[0].weight.detach())
    )
    before, after = (entry["layers"][0] for entry in entries(tmp_path / "run"))
    for row, filters in ((before, first), (after, last)):
        outside = filters - filters @ reached
        assert row["share"] == pytest.approx(
            float(((outside**2).sum(1) / (filters**2).sum(1)).mean()), rel=1e-6
        )
        assert (row["size"], row["rank"], row["patches"]) == (27, 9, 6 * 64)
        # All grey images lie in that span.
        assert row["unseen"] < 1e-12
    assert np.abs((last - first) - (last - first) @ reached).max() < 1e-6
    assert np.abs(last - first).max() > 1e-3
    # Updates see its channels alone: the second layer has none outside.
    assert entries(tmp_path / "run")[0]["layers"][1]["share"] == 0


class _StopAfter(Hook):
    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        if runner.iter + 1 == 9:
            raise KeyboardInterrupt


def test_a_resumed_run_has_measured_what_an_uninterrupted_one_has(tmp_path: Path) -> None:
    trained(tmp_path / "whole", HOOK)
    stopped = runner(tmp_path / "parts", by_epoch=False, name="stopped", custom_hooks=[HOOK])
    stopped.optim_wrapper = PLAIN
    stopped.register_hook(_StopAfter())
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    trained(tmp_path / "parts", HOOK, load_from=str(tmp_path / "parts" / "iter_4.pth"), resume=True)
    assert entries(tmp_path / "parts") == entries(tmp_path / "whole")


def test_a_training_that_begins_anew_keeps_nothing_of_what_its_folder_holds(tmp_path: Path) -> None:
    trained(tmp_path / "own", HOOK)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "weight_noise.json").write_text(json.dumps([{"iteration": 0, "layers": []}]))
    trained(tmp_path / "used", HOOK)
    assert entries(tmp_path / "used") == entries(tmp_path / "own")


def test_without_scale_invariant_layers_it_says_so(tmp_path: Path) -> None:
    made = runner(tmp_path, by_epoch=False, name="none", custom_hooks=[HOOK])
    made.model, made.optim_wrapper = PlainNetwork(), PLAIN
    made.train()
    assert [entry["layers"] for entry in entries(tmp_path)] == [[], []]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": 1}, "images must be a whole number from 2, not 1"),
        ({"batch_size": 1}, "batch_size must be a whole number from 2"),
        ({"layers": 0}, "layers must be a whole number from 1"),
        ({"seed": -1}, "seed must be a whole number from 0"),
    ],
)
def test_an_option_out_of_its_range_is_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        WeightNoiseHook(**options)
