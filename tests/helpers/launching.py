"""A folder as somebody's own: third-party configs, one module of theirs, tiny data, and the scripts."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from subprocess import CompletedProcess

import psutil
import torch
from commands import Command, finish

from wrs_mm.openmmlab import training

ROOT = Path(__file__).resolve().parents[2]

# Our recipe cut to six updates, in a folder of its own that has a space in its name.
SEGMENTOR = """
_base_ = '{root}/configs/mini/pspnet_r18-narrow_mini-cityscapes_wrs.py'
custom_imports = dict(imports=['wrs_mm', 'their_hooks'], allow_failed_imports=False)
custom_hooks = [dict(type='Watched')]
train_dataloader = dict(batch_size=2, num_workers=2, persistent_workers=True)
val_dataloader = dict(batch_size=1)
test_dataloader = dict(batch_size=1)
train_cfg = dict(max_iters=6, val_interval=6)
auto_scale_lr = dict(base_batch_size=8)
param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=4)]
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2, save_best=None))
"""

# A recipe that is not ours, and learns seven images in seconds, so that its metric says something.
DETECTOR = """
_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
custom_imports = dict(imports=['wrs_mm'], allow_failed_imports=False)
norm = dict(type='BN', requires_grad=True)
model = dict(
    backbone=dict(base_channels=8, frozen_stages=-1, norm_eval=False, norm_cfg=norm, init_cfg=None),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16, norm_cfg=norm, num_outs=4),
    bbox_head=dict(
        num_classes=6, in_channels=16, feat_channels=16, stacked_convs=1, norm_cfg=norm,
        anchor_generator=dict(octave_base_scale=3, ratios=[1.0], strides=[8, 16, 32, 64])))
pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(64, 64)), dict(type='PackDetInputs', meta_keys=(
        'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
annotations = 'annotations/instances_train2017.json'
dataset = dict(
    _delete_=True, type='CocoDataset', data_root='data/mini-coco/', ann_file=annotations,
    data_prefix=dict(img='train2017/'), pipeline=pipeline,
    metainfo=dict(classes=('disc', 'square', 'triangle', 'ring', 'star', 'cross')))
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(batch_size=7, **loader, dataset=dataset)
val_dataloader = dict(batch_size=1, **loader, dataset=dict(**dataset, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file='data/mini-coco/' + annotations)
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=20, val_interval=20)
param_scheduler = []
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.01))
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=20))
randomness = dict(seed=0)
"""

# Tells what each process is, and can hold all of them in the middle of a training.
HOOKS = """
import json, os, time
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class Watched(Hook):
    def before_train(self, runner):
        keys = ('LOCAL_RANK', 'MASTER_PORT')
        facts = dict({key: os.environ.get(key) for key in keys}, pid=os.getpid(), world=dist.get_world_size(),
                     launcher=runner.launcher)
        with open(f'{runner.work_dir}/rank{dist.get_rank()}.json', 'w') as file:
            json.dump(facts, file)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == int(os.environ.get('HOLD_AT', 0)):
            open(f'{runner.work_dir}/held{dist.get_rank()}', 'w').close()
            time.sleep(3600)
"""


class Folder:
    """A folder with data and configs, and the ways to start the scripts from there.

    Attributes:
        path: The folder; commands run in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.segmentor = "my configs/segmentor.py"
        self.detector = "my configs/detector.py"

    def start(self, script: str, *arguments: str, **environment: str) -> Command:
        """Start ``tools/<script>`` as the leader of a process group; the output is collected."""
        variables = {"PYTHONPATH": str(self.path / "my modules"), **environment}
        return Command([ROOT / "tools" / script, *arguments], cwd=self.path, environment=variables)

    def run(self, script: str, *arguments: str, **environment: str) -> CompletedProcess[str]:
        """Run ``tools/<script>`` to its end, whatever that is."""
        return finish(self.start(script, *arguments, **environment))

    def weights(self, work_dir: str, iteration: int = 6) -> dict[str, torch.Tensor]:
        """The model in a checkpoint."""
        return self.checkpoint(work_dir, iteration)["state_dict"]

    def checkpoint(self, work_dir: str, iteration: int = 6) -> dict:
        """A checkpoint of the segmentor."""
        return torch.load(self.path / work_dir / f"iter_{iteration}.pth", weights_only=True)

    def ranks(self, work_dir: str) -> list[dict]:
        """What the two processes said of themselves."""
        return [json.loads((self.path / work_dir / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two models are equal to the last bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def has_ended(pid: int, seconds: float = 120) -> bool:
    """Whether a process is gone, or goes within this time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.1)
                continue
        return True
    return False


def metrics(values: dict[str, float]) -> dict[str, float]:
    """What an evaluator measured, without the seconds that it took."""
    return {name: value for name, value in values.items() if name not in ("data_time", "time")}


def one_process_measures(config: str, checkpoint: str) -> dict[str, float]:
    """The metrics of a checkpoint, from this process."""
    return metrics(training.test(config, checkpoint, work_dir="tested by one"))


def written_metrics(work_dir: Path) -> dict[str, float]:
    """The metrics that a test has left in its work dir."""
    (file,) = work_dir.glob("*/*.json")
    return metrics(json.loads(file.read_text()))
