"""What WeightDynamicsHook costs: training steps that it measures beside those that it leaves alone.

In one process, in turn, medians: of every eight steps it measures the last and looks at the turns of three,
and what those take more, spread over ``--interval`` steps, is its share of the training time.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from types import SimpleNamespace

import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from wrs_mm.engine.hooks import WeightDynamicsHook
from wrs_mm.engine.hooks.weight_dynamics_hook import LOOKS
from wrs_mm.errors import UsageError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch

KINDS = ("left alone", "turns", "measured")

CYCLE = 8
"""Steps; of so many the hook leaves four alone, every second one."""


def step_seconds(config_name: str, size: int, batch_size: int, steps: int) -> dict[str, float]:
    """Medians of a step that is left alone, of one whose turns are looked at, and of one that is measured.

    Args:
        config_name: Of a detector or segmentor; a frozen BN of its backbone is made to train.
        size: Pixels of the images, each way.
        batch_size: How many images.
        steps: How many are measured in whole; of the others there are more.
    """
    config = load_config(config_name)
    config.model.backbone.norm_eval = False
    model = build_model(config)
    with DefaultScope.overwrite_default_scope(config.get("default_scope")):
        wrapper = build_optim_wrapper(model, config.optim_wrapper)
    batch = random_batch(model, batch_size=batch_size, size=(size, size))
    hook = WeightDynamicsHook(interval=CYCLE)
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder:
        runner = SimpleNamespace(
            model=model,
            optim_wrapper=wrapper,
            work_dir=folder,
            iter=0,
            logger=logging.getLogger("dynamics_cost"),
            visualizer=SimpleNamespace(add_scalars=lambda values, step: None),
        )
        hook.before_train(runner)
        for runner.iter in range(CYCLE * (steps + 1)):
            began = time.perf_counter()
            hook.before_train_iter(runner, runner.iter)
            model.train_step(batch, wrapper)
            hook.after_train_iter(runner, runner.iter)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if runner.iter >= CYCLE:  # the first are warm-up
                update = runner.iter + 1
                kind = KINDS[2 if update % CYCLE == 0 else 1 - update % 2]
                seconds[kind].append(time.perf_counter() - began)
        hook.after_train(runner)
    return {kind: statistics.median(values) for kind, values in seconds.items()}


def share(seconds: dict[str, float], interval: int) -> float:
    """What the hook takes of a training with an interval, in steps that are left alone."""
    alone, turns, measured = (seconds[kind] for kind in KINDS)
    return (measured - alone + (LOOKS - 1) * (turns - alone)) / (interval * alone)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="?", default="mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py")
    parser.add_argument("--size", type=int, default=512, help="pixels of the images (default: 512)")
    parser.add_argument("--batch-size", type=int, default=2, help="how many images (default: 2)")
    parser.add_argument(
        "--steps", type=int, default=10, help="measured, of eight times as many (default: 10)"
    )
    parser.add_argument("--interval", type=int, default=50, help="of a training (default: 50)")
    args = parser.parse_args()
    try:
        seconds = step_seconds(args.config, args.size, args.batch_size, args.steps)
    except UsageError as error:
        parser.error(str(error))
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, medians of {args.steps}")
    print("a step: " + ", ".join(f"{kind} {value:.3f} s" for kind, value in seconds.items()))
    print(f"with interval={args.interval}: {share(seconds, args.interval):.2%} of the training time")


if __name__ == "__main__":
    main()
