"""dist_train.sh and dist_test.sh, as a person calls them: several real processes, on the CPU."""

from __future__ import annotations

import os
import pickle
import signal

import pytest
import torch
from commands import Command, finish, held_port, succeed, succeed_together, wait_until
from launching import Folder, has_ended, one_process_measures, same, written_metrics

from wrs_mm.openmmlab import training

pytestmark = [
    pytest.mark.dist,
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason="counts on processes of the CPU"),
]


def initial_lr(checkpoint: dict) -> set[float]:
    return {group["initial_lr"] for group in checkpoint["optimizer"]["param_groups"]}


def test_two_processes_train(folder: Folder, trained: str) -> None:
    first, second = folder.ranks(trained)
    assert (first["world"], first["launcher"]) == (2, "pytorch")
    assert (first["LOCAL_RANK"], second["LOCAL_RANK"]) == ("0", "1")
    start, end = folder.weights(trained, 4), folder.weights(trained)
    assert not same(start, end)
    # The arm's promise, on the processes' common weights.
    norms = end["backbone.layer1.0.conv1.weight"].flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms))


@pytest.mark.parametrize(("batch_size", "ratio"), [(2, 2 / 8), (4, 4 / 8)])
def test_the_learning_rate_scales_with_the_batch_of_one_process(
    here: Folder, batch_size: int, ratio: float
) -> None:
    options = {"train_cfg.max_iters": 1, "train_dataloader.batch_size": batch_size}
    runner = training.train(
        here.segmentor, work_dir=f"batch {batch_size}", auto_scale_lr=True, cfg_options=options
    )
    groups = runner.optim_wrapper.optimizer.param_groups
    assert {group["initial_lr"] for group in groups} == {0.1 * ratio}


def test_the_learning_rate_scales_with_the_number_of_processes(folder: Folder, trained: str) -> None:
    # Two processes with two images each; the recipe's 0.1 is for eight images.
    assert initial_lr(folder.checkpoint(trained)) == {0.1 * 2 * 2 / 8}


def test_two_machines_train_as_one_does(folder: Folder, trained: str) -> None:
    with held_port() as port:
        nodes = [
            folder.start(
                "dist_train.sh", folder.segmentor, "1", "--work-dir", "two nodes", "--auto-scale-lr",
                NNODES="2", NODE_RANK=rank, PORT=port, MASTER_ADDR="127.0.0.1", OMP_NUM_THREADS="1",
            )
            for rank in ("0", "1")
        ]  # fmt: skip
        succeed_together(*nodes)
    assert [facts["LOCAL_RANK"] for facts in folder.ranks("two nodes")] == ["0", "0"]
    assert same(folder.weights("two nodes"), folder.weights(trained))


def hold(folder: Folder, iteration: int, *arguments: str) -> tuple[Command, list[int]]:
    """Start a training of two processes and wait until both stand still after this iteration."""
    held = [folder.path / "held up" / f"held{rank}" for rank in (0, 1)]
    for file in held:
        file.unlink(missing_ok=True)
    arguments = (*arguments, "--work-dir", "held up", "--auto-scale-lr")
    launcher = folder.start("dist_train.sh", folder.segmentor, "2", *arguments, HOLD_AT=str(iteration))
    wait_until(lambda: all(file.exists() for file in held), launcher, f"it held at iteration {iteration}")
    return launcher, [facts["pid"] for facts in folder.ranks("held up")]


def test_interrupted_and_killed_and_resumed_is_as_if_nothing_had_happened(
    folder: Folder, request: pytest.FixtureRequest
) -> None:
    launcher, pids = hold(folder, 3)
    # Another training beside it: neither may be in the other's way.
    trained = request.getfixturevalue("trained")
    os.killpg(launcher.pid, signal.SIGINT)
    assert finish(launcher).returncode == 128 + signal.SIGINT
    assert all(has_ended(pid) for pid in pids)

    launcher, pids = hold(folder, 5, "--resume")
    os.killpg(launcher.pid, signal.SIGKILL)
    finish(launcher)
    # torchrun could not end them any more.
    assert all(has_ended(pid) for pid in pids)

    assert (folder.path / "held up" / "last_checkpoint").read_text().endswith("iter_4.pth")
    succeed(
        folder.run(
            "dist_train.sh", folder.segmentor, "2",
            "--work-dir", "held up", "--auto-scale-lr", "--resume", "auto",
        )
    )  # fmt: skip
    assert same(folder.weights("held up"), folder.weights(trained))
    log = "".join(file.read_text() for file in (folder.path / "held up").glob("*/*.log"))
    assert log.count("resumed epoch: 0, iter: 2") == log.count("resumed epoch: 0, iter: 4") == 1


def test_two_processes_measure_of_a_segmentor_what_one_does(here: Folder, trained: str) -> None:
    checkpoint = f"{trained}/iter_6.pth"
    options = ["--work-dir", "test segmentor", "--out", "images.pkl"]
    succeed(here.run("dist_test.sh", here.segmentor, checkpoint, "2", *options))
    # Of five images one process has three, the other two.
    assert len(pickle.loads((here.path / "images.pkl").read_bytes())) == 5
    measured = written_metrics(here.path / "test segmentor")
    assert measured["mIoU"] > 0
    assert measured == one_process_measures(here.segmentor, checkpoint)


def test_two_processes_measure_of_a_detector_what_one_does(here: Folder) -> None:
    training.train(here.detector, work_dir="detector")
    checkpoint = "detector/epoch_20.pth"
    succeed(here.run("dist_test.sh", here.detector, checkpoint, "2", "--work-dir", "test detector"))
    measured = written_metrics(here.path / "test detector")
    assert measured["coco/bbox_mAP_50"] > 0.05
    assert measured == one_process_measures(here.detector, checkpoint)


def test_a_mistake_that_all_processes_make_is_one_line(folder: Folder) -> None:
    done = folder.run("dist_train.sh", folder.segmentor, "2", "--cfg-options", "optim_wraper.type=X")
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if "error" in line.lower()]
    assert len(lines) == 1
    assert "did you mean optim_wrapper?" in lines[0]
