"""What an option of the command line changes in a config; test_training.py trains with them."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config

from wrs_mm.errors import ConfigError, OptionError
from wrs_mm.openmmlab import config_options
from wrs_mm.openmmlab.training import train

needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("OptimWrapper", "AmpOptimWrapper"),
        ("WRSOptimWrapper", "AmpWRSOptimWrapper"),
        ("ScaleInvariantOptimWrapper", "AmpScaleInvariantOptimWrapper"),
        ("AmpWRSOptimWrapper", "AmpWRSOptimWrapper"),
        (None, "AmpOptimWrapper"),
    ],
)
def test_amp_takes_the_wrappers_twin(given, expected):
    wrapper = {"optimizer": {"type": "SGD", "lr": 0.1}, **({"type": given} if given else {})}
    config = Config({"optim_wrapper": wrapper})
    config_options.use_amp(config)
    assert config.optim_wrapper.type == expected


def test_every_twin_is_registered():
    from mmengine.registry import OPTIM_WRAPPERS

    for pair in config_options.AMP_WRAPPERS.items():
        assert all(OPTIM_WRAPPERS.get(name) is not None for name in pair)


def test_amp_refuses_a_wrapper_that_it_does_not_know():
    with pytest.raises(ConfigError, match="ApexOptimWrapper"):
        config_options.use_amp(Config({"optim_wrapper": {"type": "ApexOptimWrapper"}}))


@needs_no_gpu
@pytest.mark.parametrize(
    "options", [{"amp": True}, {"cfg_options": {"optim_wrapper.type": "AmpOptimWrapper"}}]
)
def test_amp_without_a_gpu_is_the_callers_mistake(options, write_config, tmp_path):
    with pytest.raises(OptionError, match="needs a GPU"):
        train(write_config("segmentor"), work_dir=tmp_path, **options)


def test_auto_scale_lr_needs_a_base_batch_size(write_config, tmp_path):
    with pytest.raises(ConfigError, match="base_batch_size"):
        train(write_config("segmentor"), work_dir=tmp_path, auto_scale_lr=True)
    config = Config({"auto_scale_lr": {"enable": False, "base_batch_size": 16}})
    config_options.use_auto_scale_lr(config)
    assert config.auto_scale_lr.enable


def test_auto_resume_keeps_load_from_until_there_is_a_checkpoint(tmp_path):
    config = Config({"work_dir": str(tmp_path), "load_from": "finetune.pth"})
    config_options.use_resume(config, "auto")
    assert (config.resume, config.load_from) == (False, "finetune.pth")
    (tmp_path / "last_checkpoint").write_text("iter_2.pth")
    (tmp_path / "iter_2.pth").touch()
    config_options.use_resume(config, "auto")
    assert (config.resume, config.load_from) == (True, str(tmp_path / "iter_2.pth"))
    config_options.use_resume(config, "other.pth")
    assert (config.resume, config.load_from) == (True, "other.pth")
