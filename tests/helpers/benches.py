"""A benchmark in a folder, small and in real processes: a segmentor of mmseg on images of 32 × 32 pixels."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from commands import Command, Spoken, wait_until
from forked import ForkedCommand

from wrs_mm.bench.runs.records import Result

RECIPE = """
custom_imports = dict(imports=['wrs_mm', 'watched_hooks'], allow_failed_imports=False)
default_scope = 'mmseg'
norm = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[127.] * 3, std=[64.] * 3, pad_val=0, seg_pad_val=255,
        size=(32, 32)),
    backbone=dict(
        type='ResNet', depth=18, base_channels=4, num_stages=1, out_indices=(0,), strides=(1,),
        dilations=(1,), norm_cfg=norm),
    decode_head=dict(
        type='FCNHead', in_channels=4, channels=8, num_convs=1, in_index=0, num_classes=2,
        concat_input=False, norm_cfg=norm),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
dataset = dict(
    type='BaseSegDataset', data_root='data', img_suffix='.png', seg_map_suffix='.png',
    data_prefix=dict(img_path='images', seg_map_path='labels'),
    metainfo=dict(classes=('ground', 'disc'), palette=[[0, 0, 0], [255, 255, 255]]),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
              dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')])
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True), dataset=dataset)
val_dataloader = dict(
    batch_size=1, num_workers=0, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False), dataset=dataset)
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-3))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=ITERATIONS, val_interval=1000)
val_cfg = dict(type='ValLoop')
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=10, log_metric_by_epoch=False),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=5, max_keep_ckpts=2))
custom_hooks = [dict(type='BenchTestHook', HOOK)]
log_processor = dict(by_epoch=False)
"""

EPOCHS = """
train_dataloader.update(sampler=dict(type='DefaultSampler', shuffle=True))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=ITERATIONS // 2, val_interval=3)
default_hooks.update(checkpoint=dict(
    type='CheckpointHook', by_epoch=True, interval=2, max_keep_ckpts=1, save_best='mIoU'))
"""
"""Added to the recipe: the same training in epochs of two updates."""

VALIDATIONS = """
train_cfg.update(val_interval=6)
default_hooks['checkpoint'].update(interval=3, save_best='mIoU', max_keep_ckpts=1)
"""
"""Added to the recipe: validations in between, and the best checkpoint."""

TEST = """
test_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(dataset, data_root='data/test'))
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_cfg = dict(type='TestLoop')
optim_wrapper['optimizer'].update(lr=0.1)
"""
"""Added to the recipe: a test split, and a learning rate at which it learns something."""

BENCH = [sys.executable, "-m", "wrs_mm.cli", "bench"]

PLAN = """
name: tiny
recipes: [RECIPES]
regularizers: [none, wd]
seeds: [0]
baseline: wd
"""


class Bench:
    """A folder with data, recipes, a plan and a work dir, and the command that runs it.

    Args:
        folder: The folder.
        anew: Whether the command and the process that runs are forked from start as a user's do, which takes
            a quarter of a minute; else they are forks of a process that has imported everything.
    """

    def __init__(self, folder: Path, anew: bool = False) -> None:
        self.folder = folder
        self.anew = anew
        generator = np.random.default_rng(0)
        for split, count in (("data", 4), ("data/test", 6)):
            for name in ("images", "labels"):
                (folder / split / name).mkdir(parents=True)
            for index in range(count):
                label = np.zeros((32, 32), np.uint8)
                radius = 7 if split == "data" else 4
                cv2.circle(label, tuple(generator.integers(8, 24, 2).tolist()), radius, 1, -1)
                image = np.repeat(label[..., None] * 120, 3, -1) + generator.integers(0, 99, (32, 32, 3))
                cv2.imwrite(str(folder / split / "images" / f"{index}.png"), image.astype(np.uint8))
                cv2.imwrite(str(folder / split / "labels" / f"{index}.png"), label)

    def recipe(self, name: str, iterations: int = 20, hook: str = "seconds=0", more: str = "") -> None:
        text = (RECIPE + more).replace("ITERATIONS", str(iterations)).replace("HOOK", hook)
        (self.folder / f"{name}.py").write_text(text)

    def plan(self, *recipes: str, **replaced: str) -> None:
        text = PLAN.replace("RECIPES", ", ".join(recipes))
        for key, value in replaced.items():
            text = "\n".join(
                f"{key}: {value}" if line.startswith(f"{key}:") else line for line in text.splitlines()
            )
        # A key that the plan above has not is added.
        rest = [f"{key}: {value}" for key, value in replaced.items() if f"\n{key}:" not in text]
        (self.folder / "plan.yaml").write_text("\n".join([text, *rest]))

    def let_go(self) -> None:
        """Let runs pass the iteration that ``hold_at`` names."""
        (self.folder / "go").touch()

    def hold(self) -> None:
        """Have runs wait there (again)."""
        (self.folder / "go").unlink(missing_ok=True)

    def start(self, *extra: str, work_dir: str | Path = "work") -> Spoken:
        paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        environment = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        arguments = ["run", "plan.yaml", "--work-dir", str(work_dir), *extra]
        if self.anew:
            return Command([*BENCH, *arguments], cwd=self.folder, environment=environment)
        return ForkedCommand(["bench", *arguments], cwd=self.folder, environment=environment)

    def run(self, *extra: str, status: int = 0, work_dir: str | Path = "work") -> str:
        """Run to the end and return stdout and stderr."""
        process = self.start(*extra, work_dir=work_dir)
        out, err = process.communicate()
        assert process.returncode == status, out + err
        return out + err

    def run_folder(self, name: str, work_dir: str | Path = "work") -> Path:
        return self.folder / work_dir / "runs" / name

    def result(self, name: str, work_dir: str | Path = "work") -> Result:
        text = (self.run_folder(name, work_dir) / "result.json").read_text()
        return Result.model_validate_json(text)

    def attempts(self, name: str, work_dir: str | Path = "work") -> list[int]:
        """Process ids of the attempts at a run."""
        file = self.run_folder(name, work_dir) / "attempts.txt"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def wait_for_checkpoint(
        self, process: Spoken, name: str, iteration: int, work_dir: str | Path = "work"
    ) -> None:
        """Wait until a run has done so many updates and has the checkpoint of the last of them."""
        checkpoint = self.run_folder(name, work_dir) / f"iter_{iteration}.pth"
        wait_until(checkpoint.exists, process, f"{name} has a checkpoint of iteration {iteration}")

    def results(self, work_dir: str = "work") -> pd.DataFrame:
        return pd.read_csv(self.folder / work_dir / "results.csv", keep_default_na=False)


def weights(folder: Path, iteration: int) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(folder / f"iter_{iteration}.pth", weights_only=False)
    return checkpoint["state_dict"]
