"""A rescaled checkpoint: new norms, the same function, the same format; and one line for each mistake."""

from __future__ import annotations

import copy
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from wrs_mm.cli.main import main
from wrs_mm.errors import CheckpointError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch
from wrs_mm.rescale_checkpoint import match_names, read_checkpoint, rescale_checkpoint, rescale_state
from wrs_mm.rescaling import WeightRescaler
from wrs_mm.rescaling.functional import filter_norms

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
DETECTOR = CONFIGS / "mini" / "faster-rcnn_r18-narrow_fpn_mini-coco.py"
SEGMENTOR = CONFIGS / "mini" / "pspnet_r18-narrow_mini-cityscapes.py"
R50 = CONFIGS / "coco" / "faster-rcnn_r50_fpn_frozenbn_1x_coco.py"


def with_history(model: nn.Module) -> nn.Module:
    """The model as after a training: running statistics, γ and β like no others."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            with torch.no_grad():
                module.running_mean.normal_(0, 0.3, generator=generator)
                module.running_var.uniform_(0.2, 3, generator=generator)
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
    return model


def flat(outputs: Any) -> Tensor:
    """All tensors of nested outputs as one vector."""
    if isinstance(outputs, Tensor):
        return outputs.flatten().double()
    return torch.cat([flat(output) for output in outputs])


def output(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    model.eval()
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # of anchors
    try:
        data = model.data_preprocessor(copy.deepcopy(batch), training=False)
        with torch.no_grad():
            return flat(model(data["inputs"].double(), data["data_samples"], mode="tensor"))
    finally:
        torch.set_default_dtype(default)


def close(first: Tensor, second: Tensor) -> bool:
    """To 1e-9 of the largest number."""
    return bool((first - second).abs().max() <= 1e-9 * second.abs().max())


@pytest.fixture(scope="module")
def segmentor() -> nn.Module:
    return with_history(build_model(load_config(SEGMENTOR))).double()


@pytest.fixture
def checkpoint(segmentor: nn.Module, tmp_path: Path) -> Path:
    path = tmp_path / "iter_9.pth"
    content = {
        "meta": {"epoch": 1, "iter": 9},
        "state_dict": segmentor.state_dict(),
        "optimizer": {"state": {}, "param_groups": []},
        "message_hub": {},
        "mine": "kept",
    }
    torch.save(content, path)
    return path


@pytest.mark.parametrize("config", [DETECTOR, SEGMENTOR])
def test_the_function_stays_and_the_norms_are_the_target(config: Path, tmp_path: Path) -> None:
    model = with_history(build_model(load_config(config))).double()
    batch = random_batch(model, size=(64, 64))
    before = output(model, batch)
    torch.save({"meta": {}, "state_dict": model.state_dict()}, tmp_path / "old.pth")
    done = rescale_checkpoint(config, tmp_path / "old.pth", tmp_path / "new.pth", target=0.5)
    state = torch.load(tmp_path / "new.pth")["state_dict"]
    assert state.keys() == model.state_dict().keys()
    for verdict in done.rescaled:
        torch.testing.assert_close(
            filter_norms(state[verdict.name]), torch.full((verdict.shape[0],), 0.5, dtype=torch.float64)
        )
    assert done.filters == sum(v.shape[0] for v in done.rescaled) > 100
    assert done.num_weights == len(done.rescaled) + len(done.weights_skipped)
    assert not any(done.filters_skipped.values())
    model.load_state_dict(state)
    assert close(output(model, batch), before)
    # Not because nothing happened: without the fold, the function would be another one.
    statistics = {name: value for name, value in state.items() if "running" in name}
    old = torch.load(tmp_path / "old.pth")["state_dict"]
    model.load_state_dict({**state, **{name: old[name] for name in statistics}})
    assert not close(output(model, batch), before)


@pytest.mark.slow
def test_a_checkpoint_of_torchvision_is_of_the_backbone(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = with_history(torchvision.models.resnet50()).double().eval()
        images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    # As in torchvision's oldest files.
    old = {k: v for k, v in classifier.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "resnet50.pth")
    done = rescale_checkpoint(R50, tmp_path / "resnet50.pth", tmp_path / "unit.pth")
    assert len(done.rescaled) == done.num_weights == 53  # the frozen stages too
    assert done.other_tensors == ("fc.weight", "fc.bias")
    new = torch.load(tmp_path / "unit.pth")
    assert new.keys() == old.keys()
    for name, module in classifier.named_modules():
        if isinstance(module, nn.Conv2d):
            norms = filter_norms(new[f"{name}.weight"])
            torch.testing.assert_close(norms, torch.ones_like(norms))
    with torch.no_grad():
        before = classifier(images)
        classifier.load_state_dict(new, strict=False)
        assert close(classifier(images), before)


def test_the_format_stays_and_the_state_of_the_training_is_dropped(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = torch.load(checkpoint)
    assert main(["rescale-checkpoint", str(SEGMENTOR), str(checkpoint), str(tmp_path / "new.pth")]) == 0
    new = torch.load(tmp_path / "new.pth")
    assert new.keys() == {"meta", "state_dict", "mine"}
    assert new["meta"] == old["meta"]
    assert list(new["state_dict"]) == list(old["state_dict"])
    said = capsys.readouterr().out
    rescaled = rescale_checkpoint(SEGMENTOR, checkpoint, tmp_path / "again.pth").rescaled
    assert f"Rescaled {len(rescaled)} of " in said and "to norm 1" in said
    assert "Dropped: optimizer, message_hub" in said and "load_from" in said
    assert "Left alone: decode_head.conv_seg.weight: " in said
    assert not list(tmp_path.glob(".*"))


def test_a_weight_keeps_its_own_type(segmentor: nn.Module, tmp_path: Path) -> None:
    state = OrderedDict(
        (f"module.{k}", v.half() if v.is_floating_point() else v) for k, v in segmentor.state_dict().items()
    )
    torch.save(state, tmp_path / "old.pth")
    done = rescale_checkpoint(SEGMENTOR, tmp_path / "old.pth", tmp_path / "new.pth", granularity="layer")
    new = torch.load(tmp_path / "new.pth")
    assert [(k, v.dtype, v.shape) for k, v in new.items()] == [
        (k, v.dtype, v.shape) for k, v in state.items()
    ]
    for verdict in done.rescaled:
        norm = filter_norms(new[f"module.{verdict.name}"], granularity="layer")
        assert float(norm) == pytest.approx(1, abs=2e-3)


def test_filters_that_cannot_be_rescaled_are_left_alone_and_counted(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(checkpoint)
    weight = content["state_dict"]["backbone.layer1.0.conv1.weight"]
    weight[0] = 0
    weight[1, 0, 0, 0] = float("nan")
    weight[2] *= 1e4
    content["state_dict"]["backbone.layer1.0.bn1.running_var"][2] = 0
    torch.save(content, checkpoint)
    assert main(["rescale-checkpoint", str(SEGMENTOR), str(checkpoint), str(tmp_path / "new.pth")]) == 0
    said = capsys.readouterr().out
    assert said.count("Left alone: 1 of these filters") == 3
    new = torch.load(tmp_path / "new.pth")["state_dict"]["backbone.layer1.0.conv1.weight"]
    assert new[0].equal(weight[0]) and new[2].equal(weight[2])


class Split(nn.Module):
    """A «backbone» whose last convolution feeds a BN of the «neck»."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3))
        self.neck = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.neck(self.backbone(x)).square().mean()


def test_a_weight_whose_batch_normalization_is_not_in_the_checkpoint_is_left_alone() -> None:
    model = Split()
    rescaler = WeightRescaler(model, torch.optim.SGD(model.parameters(), lr=0.0), frozen_bn="fold")
    with rescaler.observing():
        model(torch.randn(2, 3, 8, 8))
    state: dict[str, Any] = {k: v.clone() for k, v in model.backbone.state_dict().items()}
    names = match_names(state, model.state_dict(), "misfit")
    last = state["2.weight"].clone()
    done = rescale_state(state, names, rescaler)
    assert [v.name for v in done["rescaled"]] == ["backbone.0.weight"]
    assert done["weights_skipped"].keys() == {"backbone.2.weight"}
    assert "not in the checkpoint" in done["weights_skipped"]["backbone.2.weight"]
    torch.testing.assert_close(filter_norms(state["0.weight"]), torch.ones(4))
    assert state["2.weight"].equal(last)


MODEL = {"backbone.a": torch.zeros(2, 3), "backbone.b": torch.zeros(1), "head.a": torch.zeros(4)}
FITS = {
    "whole": (("backbone.a", "backbone.b", "head.a"), ("backbone.a", "backbone.b", "head.a")),
    "of several GPUs": (("module.backbone.a", "module.backbone.b"), ("backbone.a", "backbone.b")),
    "backbone": (("a", "b", "fc"), ("backbone.a", "backbone.b")),
    "backbone, named": (("backbone.a", "backbone.b", "fc.a"), ("backbone.a", "backbone.b")),
}
SHAPES = {"a": (2, 3), "b": (1,), "fc": (7,)}


def tensors(*keys: str) -> dict[str, Tensor]:
    shapes = {"head.a": (4,), **{k: SHAPES.get(k.split(".")[-1], (7,)) for k in keys if k != "head.a"}}
    return {key: torch.zeros(shapes[key]) for key in keys}


@pytest.mark.parametrize("kind", FITS)
def test_a_checkpoint_of_the_model_or_of_its_backbone_fits(kind: str) -> None:
    keys, names = FITS[kind]
    assert tuple(match_names(tensors(*keys), MODEL, "misfit").values()) == names


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (tensors("x", "y"), "none of its keys"),
        ({}, "none of its keys"),
        ({**tensors("backbone.a"), "backbone.b": torch.zeros(9)}, r"shape of its backbone\.b is \(9,\)"),
        (tensors("backbone.a", "head.a"), r"weights of the model's backbone, but no backbone\.b"),
        (tensors("a"), r"no backbone\.b"),
    ],
)
def test_a_checkpoint_of_another_model_does_not_fit(state: dict[str, Tensor], message: str) -> None:
    with pytest.raises(CheckpointError, match=f"^misfit: .*{message}"):
        match_names(state, MODEL, "misfit")


def test_what_holds_no_weights_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="holds no weights"):
        read_checkpoint(tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match=r"torchvision://resnet49: torchvision has no weights"):
        read_checkpoint("torchvision://resnet49")


MISTAKES = {
    "exists": (["{config}", "{old}", "{there}"], "there.pth exists; give another path, or --force"),
    "itself": (["{config}", "{old}", "{old}", "--force"], "is the checkpoint itself"),
    "folder": (["{config}", "{old}", "{dir}"], "is a folder"),
    "no folder": (["{config}", "{old}", "{dir}/no/new.pth"], "there is no folder"),
    "no checkpoint": (["{config}", "{dir}/no.pth", "{new}"], "does not exist"),
    "no config": (["no.py", "{old}", "{new}"], "config no.py does not exist"),
    "other model": (["{other}", "{old}", "{new}"], "does not fit the model of"),
    "target": (["{config}", "{old}", "{new}", "--target", "0"], "neither 'unit' nor a number > 0"),
    "init": (["{config}", "{old}", "{new}", "--target", "init"], "the norms that the checkpoint has already"),
    "granularity": (["{config}", "{old}", "{new}", "--granularity", "x"], "invalid choice"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_loses_nothing(
    mistake: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "there.pth"
    there.write_text("precious")
    old = checkpoint.read_bytes()
    arguments, message = MISTAKES[mistake]
    places = {"config": SEGMENTOR, "other": DETECTOR, "old": checkpoint, "there": there, "dir": tmp_path}
    filled = [a.format(**places, new=tmp_path / "new.pth") for a in arguments]
    assert main(["rescale-checkpoint", *filled]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert message in error[-1] and error[-1].startswith("wrs-mm rescale-checkpoint: error:")
    assert there.read_text() == "precious" and checkpoint.read_bytes() == old
    assert {path.name for path in tmp_path.iterdir()} == {"there.pth", checkpoint.name}


def test_force_overwrites(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "there.pth"
    out.write_text("old")
    assert main(["rescale-checkpoint", str(SEGMENTOR), str(checkpoint), str(out), "--force"]) == 0
    assert torch.load(out).keys() == {"meta", "state_dict", "mine"}
