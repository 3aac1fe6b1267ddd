"""Train and test from a config: what mmdet's and mmseg's ``tools/train.py`` and ``test.py`` do.

One program serves detectors, segmentors and third-party configs alike, with OpenMMLab's options.
Each option is a small function on the config; mmengine's Runner does the work.
"""

from __future__ import annotations

import argparse
import copy
import difflib
import inspect
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrs_mm.errors import CheckpointError, ConfigError, DatasetError, OptionError
from wrs_mm.openmmlab.checkpoints import load_checkpoint_file
from wrs_mm.openmmlab.configs import load_config, merge_options
from wrs_mm.openmmlab.distributed import end_with_launcher, has_accelerator, leave_group

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

LAUNCHERS = {
    "none": (),
    "pytorch": ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"),
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS"),
    "mpi": ("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_RANK"),
}
"""The launchers of mmengine, and what each leaves in a process's environment."""

AMP_WRAPPERS = {
    "OptimWrapper": "AmpOptimWrapper",
    "ScaleInvariantOptimWrapper": "AmpScaleInvariantOptimWrapper",
    "WRSOptimWrapper": "AmpWRSOptimWrapper",
}
"""What mixed precision makes of each optimizer wrapper."""

_SETTINGS_BESIDE_RUNNER = {
    "custom_imports",
    "find_unused_parameters",
    "model_wrapper_cfg",
    "runner_type",
    "sync_bn",
    "tta_model",
    "tta_pipeline",
}
"""Settings that mmengine and the toolboxes read without the Runner naming them."""


def train(
    config: str | Path,
    *,
    work_dir: str | Path | None = None,
    resume: bool | str | Path | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    amp: bool = False,
    auto_scale_lr: bool = False,
    local_rank: int = 0,
) -> Runner:
    """Train a config's model to its end.

    Args:
        config: A config's path, or its name in a toolbox (``mmdet::…``).
        work_dir: Where logs and checkpoints go. Default: what the config says, or
            ``./work_dirs/<config's name>``.
        resume: A checkpoint to go on from. True or ``"auto"``: the last one in the work dir, or,
            where there is none, a training from the start.
        cfg_options: Settings to override, by dotted key.
        launcher: How the processes were started: a key of :data:`LAUNCHERS`.
        amp: Train in mixed precision.
        auto_scale_lr: Scale the learning rate by the batch size, as the config's
            ``auto_scale_lr`` says.
        local_rank: This process's number on its machine, where the launcher does not set it.

    Returns:
        The runner, after training.

    Raises:
        ConfigError: The config cannot be read, lacks something, or an option does not fit into it.
        OptionError: An option cannot be used here.
        CheckpointError: A checkpoint is missing, damaged or holds what must not be loaded.
        DatasetError: A file of the dataset is missing or damaged.
    """
    settings = _read(config, work_dir, cfg_options, launcher, local_rank)
    for key in ("model", "train_dataloader", "train_cfg", "optim_wrapper"):
        if settings.get(key) is None:
            raise ConfigError(f"config {config} has no {key}, which training needs")
    if amp:
        use_amp(settings)
    _check_amp(settings)
    if auto_scale_lr:
        use_auto_scale_lr(settings)
    if resume is not None and resume is not False:
        use_resume(settings, resume)
    if settings.get("load_from"):
        _check_checkpoint(settings.load_from)
        if settings.get("resume"):
            _check_resumable(settings.load_from)
    with _dataset_errors(settings):
        runner = _build_runner(settings)
        runner.train()
    return runner


def test(
    config: str | Path,
    checkpoint: str | Path,
    *,
    work_dir: str | Path | None = None,
    out: str | None = None,
    show: bool = False,
    show_dir: str | None = None,
    wait_time: float = 2,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    tta: bool = False,
    local_rank: int = 0,
) -> dict[str, float]:
    """Evaluate a checkpoint on a config's test set.

    Args:
        config: A config's path, or its name in a toolbox (``mmdet::…``).
        checkpoint: The file, or an address that mmengine loads from.
        work_dir: As in :func:`train`; the metrics are written there as JSON too.
        out: A ``.pkl`` file for the predictions, or, of a segmentor, a folder for label maps.
        show: Show the predictions on the screen.
        show_dir: Folder for painted images.
        wait_time: Seconds that an image is shown.
        cfg_options: Settings to override, by dotted key.
        launcher: As in :func:`train`.
        tta: Augment at test time.
        local_rank: As in :func:`train`.

    Returns:
        The metrics, as the evaluator names them.

    Raises:
        ConfigError, OptionError, CheckpointError, DatasetError: As in :func:`train`.
    """
    settings = _read(config, work_dir, cfg_options, launcher, local_rank)
    for key in ("model", "test_dataloader", "test_evaluator"):
        if settings.get(key) is None:
            raise ConfigError(f"config {config} has no {key}, which testing needs")
    settings.load_from = str(_check_checkpoint(checkpoint))
    settings.resume = False
    if show or show_dir:
        use_visualization(settings, show=show, show_dir=show_dir, wait_time=wait_time)
    if tta:
        use_tta(settings)
    if out is not None:
        use_output(settings, out)
    with _dataset_errors(settings):
        runner = _build_runner(settings)
        metrics = dict(runner.test())
        leave_group()
        return metrics


# --- arguments -----------------------------------------------------------------------------------


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of :func:`train`, with OpenMMLab's names."""
    parser.add_argument("config", help="config file, or mmdet::NAME or mmseg::NAME")
    _add_common_arguments(parser)
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by the batch size, as the config's auto_scale_lr says",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="go on from this checkpoint; without a name, from the last one in the work dir",
    )


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of :func:`test`, with OpenMMLab's names."""
    parser.add_argument("config", help="config file, or mmdet::NAME or mmseg::NAME")
    parser.add_argument("checkpoint", help="checkpoint file")
    _add_common_arguments(parser)
    parser.add_argument(
        "--out", help="a .pkl file for the predictions; of a segmentor, or a folder for label maps"
    )
    parser.add_argument("--show", action="store_true", help="show the predictions on the screen")
    parser.add_argument("--show-dir", help="folder for painted images")
    parser.add_argument("--wait-time", type=float, default=2, help="seconds an image is shown (default: 2)")
    parser.add_argument("--tta", action="store_true", help="augment at test time")


def _add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--work-dir",
        help="folder for logs and checkpoints (default: the config's, or work_dirs/CONFIG)",
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=_option_action(),
        metavar="KEY=VALUE",
        help='override settings, such as optim_wrapper.optimizer.lr=0.01 or key="[a,b]"',
    )
    parser.add_argument(
        "--launcher", choices=list(LAUNCHERS), default="none", help="how processes are started"
    )
    # torch.distributed.launch spells it with a hyphen since PyTorch 2.0.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)


def _option_action() -> type[argparse.Action]:
    """Take ``KEY=VALUE`` as mmengine does, with its failures as errors of the argument."""
    from mmengine.config import DictAction

    class OptionAction(DictAction):
        def __call__(
            self,
            parser: argparse.ArgumentParser,
            namespace: argparse.Namespace,
            values: Any,
            option_string: str | None = None,
        ) -> None:
            try:
                super().__call__(parser, namespace, values, option_string)
            except (ValueError, AssertionError) as error:
                text = " ".join(values)
                raise argparse.ArgumentError(self, f"{text!r} is not KEY=VALUE") from error

    return OptionAction


# --- options on a config -------------------------------------------------------------------------


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
    settings = config.get("auto_scale_lr")
    if not settings or "base_batch_size" not in settings:
        raise ConfigError(
            "--auto-scale-lr needs the batch size that the config's learning rate is for: "
            "--cfg-options auto_scale_lr.base_batch_size=16, or the same in the config"
        )
    settings.enable = True


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


def last_checkpoint(work_dir: Path) -> Path | None:
    """The checkpoint that the training in a work dir goes on from, if it has saved one.

    mmengine writes its path to the file ``last_checkpoint``, relative to the folder that the training
    was started in, and after it has removed older ones. So the name alone counts where the work dir
    was moved or is seen from another folder, and the newest one where a kill came in between.

    Raises:
        CheckpointError: The file names a checkpoint, and there is none.
    """
    pointer = work_dir / "last_checkpoint"
    if not pointer.exists():
        return None
    path = Path(pointer.read_text().strip())
    for candidate in (work_dir / path.name, path):
        if candidate.is_file():
            return candidate
    saved = [p for p in work_dir.glob("*.pth") if re.fullmatch(r"(iter|epoch)_\d+", p.stem)]
    if not saved:
        raise CheckpointError(
            f"{pointer} names {path.name}, which is gone; remove {pointer} to start anew, "
            "or give --resume a checkpoint"
        )
    return max(saved, key=lambda p: p.stat().st_mtime)


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
    evaluators = config.test_evaluator
    evaluators = list(evaluators) if isinstance(evaluators, (list, tuple)) else [evaluators]
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


# --- inside --------------------------------------------------------------------------------------


def _read(
    source: str | Path,
    work_dir: str | Path | None,
    options: Mapping[str, Any] | None,
    launcher: str,
    local_rank: int,
) -> Config:
    """Read a config and apply what :func:`train` and :func:`test` share."""
    _check_launcher(launcher)
    if launcher == "pytorch":
        end_with_launcher()
    config = load_config(source)
    if options:
        _check_option_names(config, options)
        merge_options(config, options)
    config.launcher = launcher
    os.environ.setdefault("LOCAL_RANK", str(local_rank))
    if work_dir is not None:
        config.work_dir = str(work_dir)
    elif config.get("work_dir") is None:
        name = Path(str(source).rpartition("::")[2]).name
        config.work_dir = str(Path("work_dirs") / name.removesuffix(Path(config.filename).suffix))
    return config


def _check_launcher(launcher: str) -> None:
    if launcher not in LAUNCHERS:
        raise OptionError(f"launcher {launcher!r} is unknown; use one of {', '.join(LAUNCHERS)}")
    missing = [name for name in LAUNCHERS[launcher] if name not in os.environ]
    if missing:
        starter = {"pytorch": "torchrun", "slurm": "srun", "mpi": "mpirun"}[launcher]
        raise OptionError(
            f"--launcher {launcher} is for processes that {starter} started; "
            f"{missing[0]} is not set (start with {starter}, or leave --launcher out)"
        )


def _check_option_names(config: Config, options: Mapping[str, Any]) -> None:
    """Refuse to set what nothing would read, most often a misspelt name."""
    from mmengine.runner import Runner

    if "runner_type" in config:
        return
    read = {*inspect.signature(Runner.__init__).parameters, *_SETTINGS_BESIDE_RUNNER, *config}
    for key in options:
        top = key.split(".")[0]
        if top not in read:
            close = difflib.get_close_matches(top, sorted(read), n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigError(f"--cfg-options {key}: the config has no {top!r}{hint}")


def _wrapper_name(config: Config) -> str:
    """Name of the optimizer wrapper's class, without a registry's scope."""
    kind = config.optim_wrapper.get("type", "OptimWrapper")
    return kind.rpartition(".")[2] if isinstance(kind, str) else kind.__name__


def _check_amp(config: Config) -> None:
    if _wrapper_name(config) in AMP_WRAPPERS.values() and not has_accelerator():
        raise OptionError(
            f"mixed precision ({_wrapper_name(config)}) needs a GPU, and PyTorch sees none here; "
            "leave out --amp or set optim_wrapper.type to the wrapper without Amp"
        )


def _check_checkpoint(checkpoint: str | Path) -> str | Path:
    """Refuse early, before a model is built, a file that does not exist."""
    # Addresses (https://…, open-mmlab://…) are mmengine's to resolve.
    if "://" not in str(checkpoint) and not Path(checkpoint).expanduser().is_file():
        raise CheckpointError(f"checkpoint {checkpoint} does not exist; give the path of a .pth file")
    return checkpoint


def _check_resumable(checkpoint: str | Path) -> None:
    """Refuse to go on from weights alone, as published checkpoints are."""
    if "://" in str(checkpoint):
        return
    # On the meta device nothing but the structure is read.
    content = load_checkpoint_file(checkpoint, map_location="meta")
    if not isinstance(content, dict) or not {"meta", "optimizer", "message_hub"} <= content.keys():
        raise CheckpointError(
            f"checkpoint {checkpoint} holds weights but no state of a training; to start from "
            "these weights, set load_from in the config instead of resuming"
        )


def _is_segmentation(config: Config) -> bool:
    return config.get("default_scope") == "mmseg"


def _build_runner(config: Config) -> Runner:
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    try:
        return RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config)
    except KeyError as error:
        message = " ".join(str(error.args[0]).split()) if error.args else ""
        if "is not in the" not in message:
            raise
        # What follows is advice for authors of registries.
        raise ConfigError(f"config {config.filename}: {message.split('. ')[0]}") from error


@contextmanager
def _dataset_errors(config: Config) -> Iterator[None]:
    """Turn a missing or damaged file of the dataset into one line."""
    try:
        yield
    except FileNotFoundError as error:
        # From a worker process it comes as text whose last line is the message.
        message = error.filename or str(error).strip().splitlines()[-1]
        raise DatasetError(f"{message} does not exist; check data_root in {config.filename}") from error
    except json.JSONDecodeError as error:
        files = ", ".join(dict.fromkeys(_annotation_files(config))) or "of the dataset"
        raise DatasetError(f"annotation file {files} is not valid JSON: {error}") from error


def _annotation_files(config: Config) -> Iterator[str]:
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        dataset = (config.get(key) or {}).get("dataset", {})
        while "dataset" in dataset:
            dataset = dataset["dataset"]
        if str(dataset.get("ann_file", "")).endswith(".json"):
            yield os.path.join(dataset.get("data_root") or "", dataset["ann_file"])
