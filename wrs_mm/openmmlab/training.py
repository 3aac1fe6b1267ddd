"""Train and test from a config: what mmdet's and mmseg's ``tools/train.py`` and ``test.py`` do.

One program serves detectors, segmentors and third-party configs alike, with OpenMMLab's options.
Each option is a small function on the config (:mod:`wrs_mm.openmmlab.config_options`); mmengine's Runner
does the work.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.logging import print_log

from wrs_mm.errors import ConfigError, DatasetError, OptionError
from wrs_mm.openmmlab.checkpoints import check_checkpoint, check_resumable
from wrs_mm.openmmlab.config_options import (
    check_amp,
    check_option_names,
    use_amp,
    use_auto_scale_lr,
    use_output,
    use_resume,
    use_tta,
    use_visualization,
)
from wrs_mm.openmmlab.configs import load_config, merge_options
from wrs_mm.openmmlab.distributed import exit_with_launcher
from wrs_mm.openmmlab.numerics import set_numerics
from wrs_mm.openmmlab.optional_packages import packages_named
from wrs_mm.openmmlab.pretrained import ALLOW_PARTIAL, check_pretrained, check_when_loaded
from wrs_mm.openmmlab.pretrained_config import start_from
from wrs_mm.openmmlab.protection.protect import protect_config, protect_runner
from wrs_mm.openmmlab.protection.resuming import resume_from_last_good
from wrs_mm.values import one_line

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


def train(
    config: str | Path | Config,
    *,
    work_dir: str | Path | None = None,
    resume: bool | str | Path | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    amp: bool = False,
    auto_scale_lr: bool = False,
    local_rank: int = 0,
    protected: bool = True,
    pretrained: str | Path | None = None,
    allow_partial: bool = False,
    check: Callable[[Config], None] | None = None,
) -> Runner:
    """Train a config's model to its end.

    Killed at any moment and resumed, a protected training is the one that was not (docs/launch.md).

    Args:
        config: A config's path, its name in a toolbox (``mmdet::…``), or one that was read; left as it is.
        work_dir: Where logs and checkpoints go. Default: what the config says, or
            ``./work_dirs/<config's name>``.
        resume: A checkpoint to go on from. True or ``"auto"``: the last one in the work dir, or,
            where there is none, a training from the start.
        cfg_options: Values to override, by config key.
        launcher: How the processes were started: a key of :data:`LAUNCHERS`.
        amp: Train in mixed precision.
        auto_scale_lr: Scale the learning rate by the batch size, as the config's
            ``auto_scale_lr`` says.
        local_rank: This process's number on its machine, where the launcher does not set it.
        protected: Whether the training is protected.
        pretrained: The checkpoint that the backbone starts from, in place of what the config says:
            :func:`wrs_mm.openmmlab.pretrained_config.start_from`.
        allow_partial: Train although most of a pretrained part of the model, or of the backbone in
            ``load_from``, did not match its checkpoint.
        check: What else to look at, in the config that is trained, before anything is built.

    Returns:
        The runner, after training.

    Raises:
        ConfigError: The config cannot be read, lacks something, needs a package that is not installed, or an
            option does not fit into it.
        OptionError: An option cannot be used here.
        CheckpointError: A checkpoint is missing, damaged, another model's, or holds what must not be loaded.
        DatasetError: A file of the dataset is missing or damaged.
    """
    cfg = _read(config, work_dir, cfg_options, launcher, local_rank)
    for key in ("model", "train_dataloader", "train_cfg", "optim_wrapper"):
        if cfg.get(key) is None:
            raise ConfigError(f"config {_name(config)} has no {key}, which training needs")
    if pretrained is not None:
        start_from(cfg, pretrained)
    if allow_partial:
        cfg[ALLOW_PARTIAL] = True
    if amp:
        use_amp(cfg)
    check_amp(cfg)
    if auto_scale_lr:
        use_auto_scale_lr(cfg)
    load_from = cfg.get("load_from")
    if resume is None and cfg.get("resume") and not load_from:
        resume = "auto"
    if resume is not None and resume is not False:
        use_resume(cfg, resume)
    # The last checkpoint of a work dir may be damaged: which one is good, the processes find out together.
    find = protected and cfg.get("resume") and resume in (True, "auto")
    if find:
        cfg.resume, cfg.load_from = False, load_from
    if cfg.get("load_from"):
        check_checkpoint(cfg.load_from)
        if cfg.get("resume"):
            check_resumable(cfg.load_from)
    if check is not None:
        check(cfg)
    if protected:
        protect_config(cfg)
    with packages_named(cfg), _dataset_errors(cfg):
        runner = _build_runner(cfg)
        check_pretrained(runner, bool(cfg.get(ALLOW_PARTIAL)))
        set_numerics()
        if protected:
            protect_runner(runner)
        else:
            print_log(
                "not protected: killed and resumed, this is another training", "current", logging.WARNING
            )
        if find:
            resume_from_last_good(runner, Path(cfg.work_dir))
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
        cfg_options: Values to override, by config key.
        launcher: As in :func:`train`.
        tta: Augment at test time.
        local_rank: As in :func:`train`.

    Returns:
        The metrics, as the evaluator names them.

    Raises:
        ConfigError, OptionError, CheckpointError, DatasetError: As in :func:`train`.
    """
    cfg = _read(config, work_dir, cfg_options, launcher, local_rank)
    for key in ("model", "test_dataloader", "test_evaluator"):
        if cfg.get(key) is None:
            raise ConfigError(f"config {config} has no {key}, which testing needs")
    cfg.load_from = str(check_checkpoint(checkpoint))
    cfg.resume = False
    if show or show_dir:
        use_visualization(cfg, show=show, show_dir=show_dir, wait_time=wait_time)
    if tta:
        use_tta(cfg)
    if out is not None:
        use_output(cfg, out)
    with packages_named(cfg), _dataset_errors(cfg):
        runner = _build_runner(cfg)
        check_when_loaded(runner, bool(cfg.get(ALLOW_PARTIAL)), to_train=False)
        return dict(runner.test())


def _read(
    source: str | Path | Config,
    work_dir: str | Path | None,
    options: Mapping[str, Any] | None,
    launcher: str,
    local_rank: int,
) -> Config:
    """Read a config and apply what :func:`train` and :func:`test` share."""
    _check_launcher(launcher)
    if launcher == "pytorch":
        exit_with_launcher()
    config = load_config(source) if isinstance(source, (str, Path)) else copy.deepcopy(source)
    if options:
        check_option_names(config, options)
        merge_options(config, options)
    config.launcher = launcher
    os.environ.setdefault("LOCAL_RANK", str(local_rank))
    if work_dir is not None:
        config.work_dir = str(work_dir)
    elif config.get("work_dir") is None:
        name = Path(_name(source).rpartition("::")[2]).name
        config.work_dir = str(Path("work_dirs") / name.removesuffix(Path(config.filename).suffix))
    return config


def _name(source: str | Path | Config) -> str:
    """What a config is called in a message."""
    return str(source if isinstance(source, (str, Path)) else source.filename)


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


def _build_runner(config: Config) -> Runner:
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    try:
        return RUNNERS.build(config) if "runner_type" in config else Runner.from_cfg(config)
    except KeyError as error:
        message = one_line(error.args[0]) if error.args else ""
        if "is not in the" not in message:
            raise
        # What follows is advice for authors of registries.
        raise ConfigError(f"config {config.filename}: {message.split('. ')[0]}") from error
    except TypeError as error:
        # The call of what a config's type names, and no call within it.
        if traceback.extract_tb(error.__traceback__)[-1].name != "build_from_cfg":
            raise
        raise ConfigError(f"config {config.filename}: {one_line(error)}") from error
    except ValueError as error:
        if "Default process group has not been initialized" not in str(error):
            raise
        raise ConfigError(
            f"config {config.filename} has MMSyncBN, which one process alone cannot build; start with "
            "torchrun and --launcher pytorch, or put SyncBN in its place"
        ) from error


@contextmanager
def _dataset_errors(config: Config) -> Iterator[None]:
    """Turn a missing, damaged or empty dataset into one line."""
    try:
        yield
    except FileNotFoundError as error:
        # From a worker process it comes as text whose last line is the message.
        message = error.filename or str(error).strip().splitlines()[-1]
        raise DatasetError(f"{message} does not exist; check data_root in {config.filename}") from error
    except json.JSONDecodeError as error:
        files = ", ".join(dict.fromkeys(_annotation_files(config))) or "of the dataset"
        raise DatasetError(f"annotation file {files} is not valid JSON: {error}") from error
    except ValueError as error:
        # What mmengine's datasets say where they hold no image.
        if "need at least one array to concatenate" not in str(error):
            raise
        raise DatasetError(f"a dataset holds no image; check data_root in {config.filename}") from error


def _annotation_files(config: Config) -> Iterator[str]:
    for key in ("train_dataloader", "val_dataloader", "test_dataloader"):
        dataset = (config.get(key) or {}).get("dataset", {})
        while "dataset" in dataset:
            dataset = dataset["dataset"]
        if str(dataset.get("ann_file", "")).endswith(".json"):
            yield os.path.join(dataset.get("data_root") or "", dataset["ann_file"])
