"""A backbone under a linear head: its loss by hand, its gradients, its verdicts, its training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from shapes import BASE, write_tiny_recipe
from torch import nn
from trainings import final, train, train_killed

from wrs_mm.audit.brute_force import verify
from wrs_mm.audit.verdicts import audit_model
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch, train_loss
from wrs_mm.openmmlab.training import test as evaluate

OTHER = BASE.with_name("resnet18-v1c-narrow_mini-shapes.py")


@pytest.fixture(scope="module", params=[BASE, OTHER], ids=["mmdet", "mmseg"])
def model(request: pytest.FixtureRequest) -> nn.Module:
    return build_model(load_config(request.param))


def test_the_loss_is_cross_entropy_of_a_linear_layer_on_mean_features(model: nn.Module) -> None:
    double = model.double().eval()
    batch = random_batch(model, batch_size=5, size=(64, 64))
    data = model.data_preprocessor(batch)
    inputs = data["inputs"].double()
    with torch.no_grad():
        features = double.backbone(inputs)[-1].mean(dim=(2, 3))
        scores = features @ double.head.fc.weight.T + double.head.fc.bias
        labels = [int(sample.gt_label) for sample in batch["data_samples"]]
        chosen = scores[range(5), labels]
        expected = (scores.exp().sum(dim=1).log() - chosen).mean()
        loss = double(inputs, data["data_samples"], mode="loss")["loss"]
        predicted = double(inputs, data["data_samples"], mode="predict")
        torch.testing.assert_close(double(inputs, mode="tensor"), scores)
    torch.testing.assert_close(loss, expected)
    stacked = torch.stack([sample.pred_score for sample in predicted])
    torch.testing.assert_close(stacked, scores.exp() / scores.exp().sum(dim=1, keepdim=True))
    assert [int(sample.pred_label) for sample in predicted] == scores.argmax(dim=1).tolist()
    model.float().train()


def test_every_convolution_is_scale_invariant_and_brute_force_agrees(model: nn.Module) -> None:
    batch = random_batch(model, size=(64, 64))
    verdicts = audit_model(model, batch)
    kinds = {v.name: v.scale_invariant for v in verdicts}
    convolutions = {f"{n}.weight" for n, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    assert kinds == {**dict.fromkeys(convolutions, True), "head.fc.weight": False}
    assert len(convolutions) in (20, 22)
    assert verify(model, batch, verdicts).disagreements(verdicts) == []


def test_the_head_begins_near_zero_and_the_whole_model_learns(model: nn.Module) -> None:
    assert float(model.head.fc.weight.std()) == pytest.approx(0.01, rel=0.1)
    assert not model.head.fc.bias.any()
    train_loss(model, random_batch(model, size=(64, 64)), seed=0).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # The last BN of each block starts at γ = 0: what is before it waits for the first update.
    assert not [name for name in silent if ".layer" not in name]
    model.zero_grad()


def test_labels_are_smoothed_as_torch_smooths_them() -> None:
    config = load_config(BASE, {"model.label_smoothing": 0.1})
    model = build_model(config)
    batch = random_batch(model, size=(64, 64))
    data = model.data_preprocessor(batch)
    scores = model(data["inputs"], mode="tensor")
    labels = torch.cat([sample.gt_label for sample in batch["data_samples"]])
    smooth = nn.CrossEntropyLoss(label_smoothing=0.1)(scores, labels)
    torch.testing.assert_close(train_loss(model, batch), smooth)


@pytest.mark.slow
def test_a_training_that_is_killed_and_resumed_is_the_one_that_was_not(
    few_shapes: Path, tmp_path: Path
) -> None:
    config = write_tiny_recipe(tmp_path / "tiny.py", few_shapes)
    train(config, tmp_path / "whole")
    train_killed(config, tmp_path / "killed", 6)
    one, other = final(tmp_path / "whole"), final(tmp_path / "killed")
    assert one.keys() == other.keys() and len(one) > 50
    assert all(one[name].equal(other[name]) for name in one)
    checkpoint = Path((tmp_path / "whole" / "last_checkpoint").read_text())
    metrics = evaluate(config, checkpoint, work_dir=tmp_path / "test")
    assert metrics.keys() == {"accuracy/top1", "accuracy/top5"}
