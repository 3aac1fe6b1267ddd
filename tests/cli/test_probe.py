"""``wrs-mm probe``: what it prints, draws and writes, and its exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import probed
import pytest
import torch
from mmengine.config import Config

from wrs_mm.cli import main
from wrs_mm.openmmlab.synthetic import build_model

CONFIG = "configs/mini/pspnet_r18-narrow_mini-cityscapes.py"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def small(folder: Path) -> tuple[Path, Config]:
    """A config in one piece."""
    config = probed.recipe("pspnet")
    path = folder / "small.py"
    path.write_text(config.pretty_text)
    return path, config


@pytest.mark.slow
def test_a_probe_prints_draws_and_writes_and_starts_from_a_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, config = small(tmp_path)
    state = build_model(config, seed=5).state_dict()
    torch.save({"state_dict": state}, tmp_path / "weights.pth")
    options = ["--updates", "2", "--halvings", "1", "--size", "64", "--batch-size", "2", "--layers", "2"]
    files = ["--out", str(tmp_path / "new" / "pictures"), "--json", str(tmp_path / "found.json")]
    arms = ["--arms", "none", "wd", "--checkpoint", str(tmp_path / "weights.pth")]
    assert main.main(["probe", str(path), *options, *files, *arms]) == 0
    content = json.loads((tmp_path / "found.json").read_text())
    assert content["dtype"] == "float64" and content["lr"] == 0.1
    assert [arm["arm"] for arm in content["noise"]] == ["none", "wd"]
    assert [layer["layer"] for layer in content["noise"][0]["layers"]] == [
        "backbone.stem.0.weight",
        "decode_head.bottleneck.conv.weight",
    ]
    said = capsys.readouterr().out
    assert "decode_head.psp_modules.0.1.conv.weight" in said and "Computed in float64." in said
    pictures = sorted(p.name for p in (tmp_path / "new" / "pictures").iterdir())
    assert pictures == ["growth.png", "noise.png", "orthogonality.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no/such/config.py"], "does not exist"),
        ([CONFIG, "--updates", "1"], "--updates must be at least 2"),
        ([CONFIG, "--lr", "-1"], "--lr must be a number > 0"),
        ([CONFIG, "--dataset", "--size", "64"], "leave it or --dataset out"),
        ([CONFIG, "--json", "no/such/folder/a.json"], "there is no folder no/such/folder"),
        ([CONFIG, "--json", "docs"], "--json: docs is a folder"),
        ([CONFIG, "--out", "README.md"], "README.md is no folder"),
        ([CONFIG, "--out", "README.md/new/pictures"], "README.md is no folder"),
        ([CONFIG, "--seed", "-1"], "--seed must be a whole number from 0, not -1"),
        ([CONFIG, "--arms", "nothing"], "there is no regularizer 'nothing'"),
        ([CONFIG, "--arms", "ws"], "the arm ws trains other layers"),
        ([CONFIG, "--checkpoint", "no.pth"], "checkpoint no.pth does not exist"),
        (
            [CONFIG, "--layer", "backbone.nope", "--size", "32", "--updates", "2"],
            "no weight backbone.nope.weight",
        ),
        ([CONFIG, "--halvings", "0"], "--halvings"),
    ],
)
def test_a_callers_mistake_is_one_line_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["probe", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and len(captured.err.splitlines()) == 1
    assert not captured.out


def test_a_config_whose_batch_normalization_is_frozen_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = probed.recipe("retinanet")
    config.model.backbone.norm_eval = True
    config.model.neck.norm_cfg = config.model.bbox_head.norm_cfg = None
    path = tmp_path / "frozen.py"
    path.write_text(config.pretty_text)
    assert main.main(["probe", str(path), "--size", "64", "--updates", "2"]) == 2
    error = capsys.readouterr().err
    assert "nothing to probe" in error and "frozen" in error and len(error.splitlines()) == 1
