"""What a command-line option of training or testing changes in a config."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrs_mm.errors import ConfigError, OptionError
from wrs_mm.openmmlab.checkpoints import last_checkpoint
from wrs_mm.openmmlab.configs import evaluator_configs, runner_keys
from wrs_mm.openmmlab.distributed import has_accelerator
from wrs_mm.values import did_you_mean, type_name

if TYPE_CHECKING:
    from mmengine.config import Config


AMP_WRAPPERS = {
    "OptimWrapper": "AmpOptimWrapper",
    "ScaleInvariantOptimWrapper": "AmpScaleInvariantOptimWrapper",
    "WRSOptimWrapper": "AmpWRSOptimWrapper",
    "StepRuleOptimWrapper": "AmpStepRuleOptimWrapper",
    "PBWNOptimWrapper": "AmpPBWNOptimWrapper",
}
"""What mixed precision makes of each optimizer wrapper."""


def check_option_names(config: Config, options: Mapping[str, Any]) -> None:
    """Refuse to set what nothing would read, most often a misspelt name.

    Raises:
        ConfigError: Neither the config nor mmengine's Runner has an option's first key.
    """
    if "runner_type" in config:
        return
    read = {*runner_keys(), *config}
    for key in options:
        top = key.split(".")[0]
        if top not in read:
            raise ConfigError(f"--cfg-options {key}: the config has no {top!r}{did_you_mean(top, read)}")


def use_resume(config: Config, resume: bool | str | Path) -> None:
    """Go on from a checkpoint, or (True, ``"auto"``) from the last one in the work dir, if any.

    Where there is none yet, what the config says of ``load_from`` holds.

    Raises:
        CheckpointError: The work dir's last checkpoint is gone.
    """
    if resume is not True and resume != "auto":
        config.resume, config.load_from = True, str(resume)
    elif (last := last_checkpoint(Path(config.work_dir))) is not None:
        config.resume, config.load_from = True, str(last)
    else:
        config.resume = False


def use_amp(config: Config) -> None:
    """Train in mixed precision: replace the optimizer wrapper by its mixed-precision twin.

    Raises:
        ConfigError: The wrapper has no such twin.
    """
    name = _wrapper_name(config)
    if name in AMP_WRAPPERS.values():
        return
    if name not in AMP_WRAPPERS:
        raise ConfigError(f"--amp works with {', '.join(AMP_WRAPPERS)}; the config's optim_wrapper is {name}")
    config.optim_wrapper.type = AMP_WRAPPERS[name]
    config.optim_wrapper.setdefault("loss_scale", "dynamic")


def use_auto_scale_lr(config: Config) -> None:
    """Switch on mmengine's scaling of the learning rate.

    Raises:
        ConfigError: The config does not say which batch size its learning rate is for.
    """
    section = config.get("auto_scale_lr")
    if not section or "base_batch_size" not in section:
        raise ConfigError(
            "--auto-scale-lr needs the batch size that the config's learning rate is for: "
            "--cfg-options auto_scale_lr.base_batch_size=16, or the same in the config"
        )
    section.enable = True


def use_visualization(config: Config, *, show: bool, show_dir: str | None, wait_time: float) -> None:
    """Paint the predictions.

    Raises:
        ConfigError: The config has no hook that does it.
    """
    hook = config.get("default_hooks", {}).get("visualization")
    if hook is None:
        raise ConfigError("--show and --show-dir need default_hooks=dict(visualization=...) in the config")
    hook.draw = True
    if show:
        hook.show, hook.wait_time = True, wait_time
    if show_dir:
        # mmseg's hook has no folder of its own.
        if _is_segmentation(config):
            config.visualizer.save_dir = show_dir
        else:
            hook.test_out_dir = show_dir


def use_output(config: Config, out: str) -> None:
    """Write the predictions to a pickle file or, of a segmentor, to a folder.

    Raises:
        OptionError: A detector's file does not end in ``.pkl`` or ``.pickle``.
    """
    evaluators = evaluator_configs(config.test_evaluator)
    if out.endswith((".pkl", ".pickle")):
        # mmdet's own packs instance masks.
        own = config.get("default_scope") == "mmdet"
        kind = "mmdet.DumpDetResults" if own else "mmengine.DumpResults"
        config.test_evaluator = [*evaluators, {"type": kind, "out_file_path": out}]
    elif _is_segmentation(config):
        for evaluator in evaluators:
            evaluator.output_dir, evaluator.keep_results = out, True
    else:
        raise OptionError(f"--out {out}: a detector's predictions go to a .pkl file")


def use_tta(config: Config) -> None:
    """Augment at test time, as the config's ``tta_model`` says; by default, detectors are flipped.

    Raises:
        ConfigError: A segmentor's config does not say how.
    """
    pipeline, model = config.get("tta_pipeline"), config.get("tta_model")
    dataset = config.test_dataloader.dataset
    while "dataset" in dataset:
        dataset = dataset.dataset
    if _is_segmentation(config) and (pipeline is None or model is None):
        raise ConfigError("--tta needs tta_model and tta_pipeline in the config")
    if model is None:
        suppression = {"nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 100}
        model = {"type": "DetTTAModel", "tta_cfg": suppression}
    if pipeline is None:
        keys = ["img_id", "img_path", "ori_shape", "img_shape", "scale_factor"]
        flips = [{"type": "RandomFlip", "prob": prob} for prob in (1.0, 0.0)]
        pack = {"type": "PackDetInputs", "meta_keys": (*keys, "flip", "flip_direction")}
        augment = {"type": "TestTimeAug", "transforms": [flips, [pack]]}
        pipeline = [*copy.deepcopy(dataset.pipeline)[:-1], augment]
    config.model = {**model, "module": config.model}
    dataset.pipeline = pipeline


def _wrapper_name(config: Config) -> str:
    """Name of the optimizer wrapper's class, without a registry's scope."""
    return type_name(config.optim_wrapper.get("type", "OptimWrapper"))


def check_amp(config: Config) -> None:
    """Check that mixed precision, where the config trains in it, is possible here.

    Raises:
        OptionError: There is no accelerator.
    """
    if _wrapper_name(config) in AMP_WRAPPERS.values() and not has_accelerator():
        raise OptionError(
            f"mixed precision ({_wrapper_name(config)}) needs a GPU, and PyTorch sees none here; "
            "leave out --amp or set optim_wrapper.type to the wrapper without Amp"
        )


def _is_segmentation(config: Config) -> bool:
    return config.get("default_scope") == "mmseg"
