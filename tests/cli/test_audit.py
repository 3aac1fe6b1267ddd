"""``wrs-mm audit``: its JSON, its table, its exit statuses."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from arms import load
from rich.console import Console
from torch import nn

from wrs_mm.audit.brute_force import Verification
from wrs_mm.cli import audit, main
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model
from wrs_mm.rescaling import Verdict
from wrs_mm.terminal import print_lines

CONFIG = "configs/mini/faster-rcnn_r18-narrow_fpn_mini-coco_wrs.py"
ROOT = Path(__file__).parents[2]
KEYS = {"name", "shape", "scale_invariant", "norm_layers", "reason"}


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


# -- the command --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_json_has_one_entry_for_every_convolution_and_linear_weight(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    assert main.main(["audit", CONFIG, "--size", "64", "--json", str(path)]) == 0
    content = json.loads(path.read_text())
    assert content["config"] == CONFIG and content["granularity"] == "filter"
    model = build_model(load_config(CONFIG))
    layers = (nn.modules.conv._ConvNd, nn.Linear)
    owners = {f"{n}.weight": m for n, m in model.named_modules() if isinstance(m, layers)}
    expected = [(name, list(p.shape)) for name, p in model.named_parameters() if name in owners]
    assert [(w["name"], w["shape"]) for w in content["weights"]] == expected
    modules = dict(model.named_modules())
    for weight in content["weights"]:
        assert weight.keys() >= KEYS and isinstance(weight["scale_invariant"], bool) and weight["reason"]
        assert all(isinstance(modules[n], nn.BatchNorm2d) for n in weight["norm_layers"])
        assert bool(weight["norm_layers"]) >= weight["scale_invariant"]
    assert 0 < sum(w["scale_invariant"] for w in content["weights"]) < len(expected)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_granularity_may_be_asked_for_where_the_config_names_none(tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    config = "mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py"
    assert main.main(["audit", config, "--size", "64", "--granularity", "group", "--json", str(path)]) == 0
    content = json.loads(path.read_text())
    assert content["granularity"] == "group"
    found = [w for w in content["weights"] if w["scale_invariant"]]
    assert len(found) == 8 and all("256 filters are scaled in 32 groups" in w["reason"] for w in found)


@pytest.mark.slow
def test_brute_force_confirms_a_config_and_a_wrong_verdict_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "audit.json"
    call = ["audit", CONFIG, "--size", "64", "--verify", "--json", str(path)]
    assert main.main(call) == 0
    content = json.loads(path.read_text())
    assert content["verify"] == {"dtype": "float64", "tolerance": 1e-9, "disagreements": []}
    changes = {w["scale_invariant"]: [] for w in content["weights"]}
    for weight in content["weights"]:
        changes[weight["scale_invariant"]].append(weight["loss_change"])
    assert max(changes[True]) < 1e-12 < 1e-9 < min(changes[False])
    assert "agrees with every verdict" in capsys.readouterr().out

    wrong = {"rpn_head.rpn_conv.weight": True, "backbone.conv1.weight": False}

    def falsified(*args: Any, **options: Any) -> list[Verdict]:
        return [
            dataclasses.replace(v, scale_invariant=wrong.get(v.name, v.scale_invariant))
            for v in genuine(*args, **options)
        ]

    genuine = audit.audit_model
    monkeypatch.setattr(audit, "audit_model", falsified)
    assert main.main(call) == 1
    assert set(json.loads(path.read_text())["verify"]["disagreements"]) == set(wrong)
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith("contradicts backbone.conv1.weight, rpn_head.rpn_conv.weight.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([CONFIG, "--size", "0"], "--size must be at least 1"),
        ([CONFIG, "--batch-size", "-2"], "--batch-size must be at least 1"),
        ([CONFIG, "--size", "big"], "invalid int value"),
        ([CONFIG, "--frobnicate"], "--frobnicate"),
        ([CONFIG, "--json", "no/such/folder/a.json"], "there is no folder no/such/folder"),
        ([], "config"),
        (["no/such/config.py"], "does not exist"),
        (["README.md"], "is not a .py, .json or .yaml file"),
        (["mmdet::no/such_config.py"], "mmdet carries no"),
        (["mmocr::dbnet.py"], "no package 'mmocr' is installed"),
        (["configs/benchmarks/mini.yaml"], "no model=dict"),
    ],
)
def test_a_callers_mistake_is_one_line_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["audit", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and len(captured.err.splitlines()) == 1
    assert not captured.out


def test_a_config_that_does_not_parse_is_one_line_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("model = dict(\n")
    assert main.main(["audit", str(broken)]) == 2
    error = capsys.readouterr().err
    assert "cannot be read" in error and len(error.splitlines()) == 1


def test_an_image_too_small_for_the_model_is_one_line_and_status_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = "mmseg::mobilenet_v3/mobilenet-v3-d8-s_lraspp_4xb4-320k_cityscapes-512x1024.py"
    assert main.main(["audit", config, "--size", "64"]) == 2
    error = capsys.readouterr().err
    assert "--size" in error and len(error.splitlines()) == 1


# -- the table ----------------------------------------------------------------------------------------

LONG = "roi_head.bbox_head.shared_convs.3.conv.weight"


def printed(width: int | None, name: str = LONG) -> list[str]:
    verdicts = [
        Verdict(name, (256, 256, 3, 3), True, True, (), "feeds only roi_head.bbox_head.shared_convs.3.bn"),
        Verdict("head.weight", (4, 2), False, False, (), "its output goes into `x[0]` before any norm layer"),
    ]
    found = Verification(
        torch.float64, 1e-9, {name: 2.6e-16, "head.weight": 0.02}, {name: 1e-15, "head.weight": None}
    )
    console = Console(width=width, file=io.StringIO())
    print_lines(console, audit.table_of(verdicts, found, width))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_a_table_of_80_columns_keeps_names_and_reasons_whole() -> None:
    lines = printed(80)
    assert max(map(len, lines)) <= 80
    row = next(i for i, line in enumerate(lines) if LONG in line)
    assert lines[row].split() == ["yes", "2.6e-16", LONG]
    assert lines[row + 1].strip() == "feeds only roi_head.bbox_head.shared_convs.3.bn"
    assert any("`x[0]`" in line for line in lines), "brackets are not markup"


def test_a_wide_table_has_one_line_a_weight_and_says_what_does_not_affect_the_loss() -> None:
    head, first, second = printed(200)
    assert head.split() == ["invariant", "loss", "change", "weight", "shape", "reason"]
    assert first.split()[:4] == ["yes", "2.6e-16", LONG, "256×256×3×3"]
    assert second.startswith("no") and "no effect" in second


@pytest.mark.parametrize("width", [60, 80, 120, None])
def test_no_name_is_broken_at_any_width(width: int | None) -> None:
    name = "panoptic_head.pixel_decoder.encoder.layers.0.self_attn.attention_weights.sampling_offsets.weight"
    lines = printed(width, name)
    assert sum(name in line for line in lines) == 1
    assert all(len(line) <= (width or 1000) or line.split() == [name] for line in lines)
    said = " ".join(" ".join(lines).split())
    assert "feeds only roi_head.bbox_head.shared_convs.3.bn" in said
    assert "its output goes into `x[0]` before any norm layer" in said
    if width is None:
        assert len(lines) == 3, "without a terminal a weight is a line"


# -- the arm of a config ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arm", "frozen_bn"), [(None, "skip"), ("wd", "skip"), ("none", "fold"), ("wrs", "fold")]
)
def test_an_audit_has_the_options_of_the_configs_own_arm(arm: str | None, frozen_bn: str) -> None:
    config = load("coco", "retinanet_r50_fpn_frozenbn_1x_coco", arm)
    assert audit.wrs_options_of(config) == {"granularity": "filter", "frozen_bn": frozen_bn}
