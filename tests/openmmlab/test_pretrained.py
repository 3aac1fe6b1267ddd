"""What a pretrained part took from its checkpoint is counted as it is loaded, and most of it must match.

With it backbone_weights.py, which finds a backbone in a checkpoint.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import Tensor

from wrs_mm.cli import main
from wrs_mm.errors import CheckpointError
from wrs_mm.openmmlab.backbone_weights import backbone_state
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.pretrained_config import start_from
from wrs_mm.openmmlab.synthetic import build_model
from wrs_mm.openmmlab.training import train

Write = Callable[..., Path]

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@pytest.fixture
def state(write_config: Write) -> dict[str, Tensor]:
    """The weights of the tiny detector's backbone, other ones than it begins with."""
    model = build_model(load_config(write_config("detector")), seed=7)
    return dict(model.backbone.state_dict())


def starting_from(write_config: Write, content: object, path: Path, kind: str = "detector") -> Config:
    """A config whose backbone starts from a file with this content."""
    torch.save(content, path)
    config = load_config(write_config(kind))
    start_from(config, path)
    return config


def same(config: Config, state: dict[str, Tensor]) -> bool:
    """Whether the backbone of a config's model starts with these weights."""
    own = build_model(config, pretrained=True).backbone.state_dict()
    return all(own[name].equal(value) for name, value in state.items())


@pytest.mark.parametrize(
    ("form", "prefix"),
    [
        ("backbone", None),
        ("mmengine", None),
        ("whole", "backbone."),
        ("distributed", "module."),
        ("distributed whole", "module.backbone."),
    ],
)
def test_a_backbone_starts_from_every_form_of_checkpoint(
    form: str, prefix: str | None, state: dict[str, Tensor], write_config: Write, tmp_path: Path
) -> None:
    whole = {f"backbone.{name}": value for name, value in state.items()} | {"head.fc.bias": torch.zeros(3)}
    content = {
        "backbone": state,
        "mmengine": {"meta": {}, "state_dict": state},
        "whole": {"state_dict": whole},
        "distributed": {"state_dict": {f"module.{name}": value for name, value in state.items()}},
        "distributed whole": {"state_dict": {f"module.{name}": value for name, value in whole.items()}},
    }[form]
    path = tmp_path / "pretrained.pth"
    config = starting_from(write_config, content, path)
    assert config.model.backbone.init_cfg.get("prefix") == prefix
    assert same(config, state)
    found = backbone_state(path)
    assert found.keys() == state.keys() and all(found[name].equal(value) for name, value in state.items())


def test_a_checkpoint_of_which_nothing_fits_is_refused(write_config: Write, tmp_path: Path) -> None:
    config = starting_from(write_config, {"a.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(
        CheckpointError,
        match=r"0 of 100 tensors \(0 % of its weights\) from .*other\.pth.*nothing of it matched",
    ) as said:
        build_model(config, pretrained=True)
    assert "--allow-partial" in str(said.value) and "\n" not in str(said.value)
    assert "in it and not used: a.weight" in str(said.value)


def test_a_prefix_that_no_name_has_is_refused_in_one_line(
    state: dict[str, Tensor], write_config: Write, tmp_path: Path
) -> None:
    config = starting_from(write_config, state, tmp_path / "a.pth")
    config.model.backbone.init_cfg.prefix = "encoder."
    with pytest.raises(CheckpointError, match=r"no name in .*a\.pth begins with 'encoder\.'"):
        build_model(config, pretrained=True)


@pytest.mark.parametrize(
    ("dropped", "enough"), [(["layer3"], True), (["layer4"], False), (["layer4.1"], False)]
)
def test_more_than_two_thirds_of_the_weights_must_match(
    dropped: list[str], enough: bool, state: dict[str, Tensor], write_config: Write, tmp_path: Path
) -> None:
    kept = {name: value for name, value in state.items() if not name.startswith(tuple(dropped))}
    numbers = sum(kept[name].numel() for name in kept if not name.endswith(BUFFERS))
    share = numbers / sum(state[name].numel() for name in state if not name.endswith(BUFFERS))
    assert (share > 2 / 3) == enough
    config = starting_from(write_config, kept, tmp_path / "a.pth")
    if enough:
        assert same(config, kept)
        return
    said = rf"of 100 tensors \({int(100 * share)} % of its weights\) .* less than most of it matched"
    with pytest.raises(CheckpointError, match=said):
        build_model(config, pretrained=True)
    config.allow_partial = True
    assert same(config, kept)


def test_batch_norms_alone_are_not_most_of_a_backbone(
    state: dict[str, Tensor], write_config: Write, tmp_path: Path
) -> None:
    """They are 80 of its 100 tensors."""
    norms = {name: value for name, value in state.items() if value.dim() < 2}
    config = starting_from(write_config, norms, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"80 of 100 tensors .* less than most of it matched"):
        build_model(config, pretrained=True)


def test_a_checkpoint_of_parameters_alone_is_refused_where_batch_norm_wants_its_statistics(
    state: dict[str, Tensor], write_config: Write, tmp_path: Path
) -> None:
    parameters = {name: value for name, value in state.items() if not name.endswith(BUFFERS)}
    config = starting_from(write_config, parameters, tmp_path / "parameters.pth")
    with pytest.raises(CheckpointError, match=r"no running statistics of BN matched; .*--allow-partial"):
        build_model(config, pretrained=True)


@pytest.mark.parametrize(
    ("wanted", "given", "enough"), [(50, 34, False), (101, 50, False), (50, 50, True), (18, 18, True)]
)
def test_another_depth_of_resnet_is_refused(wanted: int, given: int, enough: bool, tmp_path: Path) -> None:
    """Their names are alike, and some of their shapes."""
    from mmdet.models import ResNet

    torch.save(ResNet(given).state_dict(), tmp_path / "resnet.pth")
    backbone = {"type": "mmdet.ResNet", "depth": wanted}
    model = {"type": "BackboneClassifier", "backbone": backbone, "in_channels": 2048, "num_classes": 3}
    config = Config({"model": model, "default_scope": "mmengine"})
    start_from(config, tmp_path / "resnet.pth")
    if enough:
        build_model(config, pretrained=True)
        return
    with pytest.raises(CheckpointError, match="less than most of it matched"):
        build_model(config, pretrained=True)


def test_a_tensor_of_another_shape_is_not_matched(
    state: dict[str, Tensor], write_config: Write, tmp_path: Path
) -> None:
    wide = {
        name: value.repeat(2, *[1] * (value.dim() - 1)) if value.dim() else value
        for name, value in state.items()
    }
    config = starting_from(write_config, wide, tmp_path / "wide.pth")
    with pytest.raises(CheckpointError, match=r"0 of 100 tensors.*; of another shape: bn1\.bias, "):
        build_model(config, pretrained=True)


def test_a_backbone_that_loads_by_itself_is_counted_too(tmp_path: Path) -> None:
    """Swin takes names that begin with ``backbone.``, renames them, and calls torch's load_state_dict."""
    backbone = {
        "type": "mmdet.SwinTransformer",
        "embed_dims": 12,
        "depths": (1, 1),
        "num_heads": (2, 2),
        "strides": (4, 2),
        "out_indices": (1,),
    }
    model = {"type": "BackboneClassifier", "backbone": backbone, "in_channels": 24, "num_classes": 3}
    config = Config({"model": model, "default_scope": "mmengine"})
    own = build_model(config, seed=5).backbone.state_dict()

    def save(names: Iterable[str], prefix: str) -> None:
        torch.save({"state_dict": {prefix + name: own[name] for name in names}}, tmp_path / "swin.pth")

    save(own, "backbone.")
    start_from(config, tmp_path / "swin.pth")
    assert same(config, {name: value for name, value in own.items() if "relative_position" not in name})
    save(list(own)[:9], "backbone.")
    with pytest.raises(CheckpointError, match=r"pretrained backbone: [1-9] of .* less than most"):
        build_model(config, pretrained=True)
    save(own, "")
    with pytest.raises(CheckpointError, match=r"the weights in .*swin\.pth are not this model's: IndexError"):
        build_model(config, pretrained=True)


# --- in a training -------------------------------------------------------------------------------


def test_a_training_says_what_matched_and_leaves_the_model_as_it_was(
    state: dict[str, Tensor], write_config: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few = {name: value for name, value in state.items() if not name.startswith("layer3.1")}
    config = starting_from(write_config, few, tmp_path / "a.pth")
    config.experiment_name = f"partial-{tmp_path.name}"
    with caplog.at_level(logging.INFO):
        runner = train(config, work_dir=tmp_path / "work", cfg_options={"train_cfg.max_epochs": 1})
    log = "".join(path.read_text() for path in (tmp_path / "work").rglob("*.log"))
    wanted = (
        r"WARNING - pretrained backbone: 90 of 100 tensors \(8\d % of its weights\) from .*a\.pth; not in it"
    )
    assert len(re.findall(rf"{wanted}: layer3", log)) == 1
    assert "init_weights" not in vars(runner.model)
    assert not any(module._load_state_dict_pre_hooks for module in runner.model.backbone.modules())


def test_the_command_refuses_with_status_2_and_goes_on_when_told_to(
    write_config: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"a.weight": torch.zeros(3)}, tmp_path / "other.pth")
    config, work = str(write_config("detector")), str(tmp_path / "work")
    call = ["train", config, "--work-dir", work, "--pretrained", str(tmp_path / "other.pth")]
    short = ["--cfg-options", "train_cfg.max_epochs=1", f"experiment_name={tmp_path.name}"]
    assert main.main([*call, *short]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("wrs-mm train: error: pretrained backbone: 0 of 100 tensors")
    assert not list((tmp_path / "work").glob("*.pth"))
    assert main.main([*call, "--allow-partial", *short[:-1], f"experiment_name={tmp_path.name}-2"]) == 0
    assert list((tmp_path / "work").glob("*.pth"))


def test_the_config_has_a_key_for_it(write_config: Write, tmp_path: Path) -> None:
    config = starting_from(write_config, {"a.weight": torch.zeros(3)}, tmp_path / "other.pth")
    config.experiment_name = f"key-{tmp_path.name}"
    options = {"allow_partial": True, "train_cfg.max_epochs": 1}
    assert train(config, work_dir=tmp_path / "work", cfg_options=options).iter == 2


# --- load_from ------------------------------------------------------------------------------------


def whole_state(write_config: Write) -> dict[str, Tensor]:
    return dict(build_model(load_config(write_config("detector")), seed=7).state_dict())


@pytest.mark.parametrize("head", ["its own", "of other classes", "none"])
def test_a_training_loads_from_a_model_whatever_its_head(
    head: str, write_config: Write, tmp_path: Path
) -> None:
    state = whole_state(write_config)
    if head == "of other classes":
        state = {
            name: value if name.startswith("backbone.") else torch.zeros(7) for name, value in state.items()
        }
    elif head == "none":
        state = {name: value for name, value in state.items() if name.startswith("backbone.")}
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    options = {"load_from": str(tmp_path / "a.pth"), "train_cfg.max_epochs": 1}
    options["experiment_name"] = f"{head}-{tmp_path.name}"
    train(load_config(write_config("detector")), work_dir=tmp_path / "work", cfg_options=options)
    log = "".join(path.read_text() for path in (tmp_path / "work").rglob("*.log"))
    assert f"(100 % of its backbone's weights) from {tmp_path / 'a.pth'}" in log
    assert ("WARNING - loaded model" in log) == (head != "its own")


def test_a_training_does_not_load_from_what_matches_nothing(
    write_config: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"a.weight": torch.zeros(3)}, tmp_path / "other.pth")
    call = ["train", str(write_config("detector")), "--work-dir", str(tmp_path / "work"), "--cfg-options"]
    options = [f"load_from={tmp_path / 'other.pth'}", "train_cfg.max_epochs=1"]
    assert main.main([*call, *options, f"experiment_name={tmp_path.name}"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("wrs-mm train: error: loaded model: 0 of") and "correct load_from" in error
    assert "allow_partial=True" in error
    options.append("allow_partial=True")
    assert main.main([*call, *options, f"experiment_name={tmp_path.name}-2"]) == 0


def test_a_test_of_another_models_weights_is_refused(
    write_config: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a model that is not trained, all weights count, and not the backbone's alone."""
    state = whole_state(write_config)
    path, config = tmp_path / "a.pth", str(write_config("detector"))
    torch.save({"state_dict": {n: v for n, v in state.items() if n.startswith("backbone.bn1")}}, path)
    call = ["test", config, str(path), "--work-dir", str(tmp_path / "work"), "--cfg-options"]
    assert main.main([*call, f"experiment_name={tmp_path.name}"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "less than most of it matched; give a checkpoint of this model" in error
