"""What a config says of trained weights, and how it is told to start from others."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from wrs_mm.errors import CheckpointError, ConfigError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.pretrained_config import (
    drop_pretrained,
    names_pretrained,
    start_from,
    start_from_scratch,
)

Write = Callable[..., Path]


def test_an_older_way_to_name_a_checkpoint_gives_way(write_config: Write, tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "a.pth")
    config = load_config(write_config("segmentor", "model.update(pretrained='open-mmlab://resnet18_v1c')"))
    start_from(config, tmp_path / "a.pth")
    assert config.model.pretrained is None
    assert config.model.backbone.init_cfg.checkpoint == str(tmp_path / "a.pth")


def test_what_would_be_loaded_over_the_backbone_is_not_loaded(write_config: Write, tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "a.pth")
    for start in (start_from_scratch, lambda config: start_from(config, tmp_path / "a.pth")):
        config = load_config(write_config("detector", "load_from = 'https://x.org/coco.pth'"))
        assert config.load_from
        start(config)
        assert config.load_from is None


def test_where_its_form_is_said_the_file_need_not_be_there(write_config: Write) -> None:
    config = load_config(write_config("detector"))
    start_from(config, "not/yet.pth", prefix="backbone.")
    assert config.model.backbone.init_cfg == {
        "type": "Pretrained",
        "checkpoint": "not/yet.pth",
        "prefix": "backbone.",
    }
    with pytest.raises(CheckpointError, match=r"not/yet\.pth does not exist"):
        start_from(config, "not/yet.pth")


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which its files are; what is downloaded goes into another."""
    (tmp_path / "files").mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "files"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield tmp_path / "files", f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_whole_model_behind_an_address_is_looked_into_and_a_collection_is_of_backbones(
    write_config: Write, served: tuple[Path, str]
) -> None:
    folder, address = served
    weights = {"backbone.conv1.weight": torch.zeros(1), "head.fc.weight": torch.zeros(1)}
    torch.save({"state_dict": weights}, folder / "whole.pth")
    config = load_config(write_config("detector"))
    start_from(config, f"{address}/whole.pth")
    assert config.model.backbone.init_cfg.prefix == "backbone."
    start_from(config, "torchvision://resnet18")
    assert "prefix" not in config.model.backbone.init_cfg
    with pytest.raises(CheckpointError, match=rf"checkpoint {address}/no\.pth cannot be loaded"):
        start_from(config, f"{address}/no.pth")


def test_a_model_without_a_backbone_and_a_file_without_weights_are_refused(
    write_config: Write, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="has no backbone"):
        start_from(Config({"model": {"type": "Linear"}}), "a.pth", prefix="")
    torch.save({"state_dict": {}}, tmp_path / "empty.pth")
    with pytest.raises(CheckpointError, match="holds no weights"):
        start_from(load_config(write_config("detector")), tmp_path / "empty.pth")


# --- what matched --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",
        "mmseg::pspnet/pspnet_r50-d8_4xb2-80k_cityscapes-512x1024.py",
    ],
)
def test_from_scratch_a_backbone_names_no_weights_and_the_rest_is_as_it_was(config: str) -> None:
    before, after = load_config(config), load_config(config)
    assert names_pretrained(before.model)
    start_from_scratch(after)
    assert not names_pretrained(after.model)
    for each in (before, after):
        each.model.pop("pretrained", None)
        each.model.backbone.pop("init_cfg", None)
    assert after.to_dict() == before.to_dict()


def test_a_checkpoint_that_a_backbone_loads_by_itself_counts() -> None:
    model = {"backbone": {"type": "VPD", "diffusion_cfg": {"checkpoint": "https://x.org/diffusion.pth"}}}
    assert names_pretrained(model)
    drop_pretrained(model)
    assert model["backbone"]["diffusion_cfg"]["checkpoint"] is None and not names_pretrained(model)
