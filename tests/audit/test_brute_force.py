"""``wrs-mm audit``: its JSON, its table, its exit statuses, and that brute force notices wrong verdicts."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from wrs_mm.audit import brute_force
from wrs_mm.cli import audit, main
from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model
from wrs_mm.rescaling import Verdict, judge, observe

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


def printed(width: int) -> list[str]:
    verdicts = [
        Verdict(LONG, (256, 256, 3, 3), True, True, (), "feeds only roi_head.bbox_head.shared_convs.3.bn"),
        Verdict("head.weight", (4, 2), False, False, (), "its output goes into `x[0]` before any norm layer"),
    ]
    found = brute_force.Verification(
        torch.float64, 1e-9, {LONG: 2.6e-16, "head.weight": 0.02}, {LONG: 1e-15, "head.weight": None}
    )
    console = Console(width=width, file=io.StringIO())
    console.print(audit.table_of(verdicts, found, width))
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


# -- brute force --------------------------------------------------------------------------------------


class Segmentor(nn.Module):
    """What the audit asks of a model: a preprocessor, losses by name, and their sum."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.noise = 0.0

    def data_preprocessor(self, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        return batch

    def forward(self, inputs: Tensor, mode: str) -> dict[str, Tensor]:
        self.noise += 0.1 if hasattr(self, "restless") else 0.0
        return {"loss": self.layers(inputs).square().mul(torch.arange(4.0)).mean() + self.noise}

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return losses["loss"], losses


def checked(model: Segmentor, **options: Any) -> tuple[list[Verdict], brute_force.Verification]:
    batch = {"inputs": torch.randn(3, 2, 8, 4, generator=torch.Generator().manual_seed(0))}
    with observe(model) as observation:
        model(**batch, mode="loss")
    verdicts = judge(observation, options.get("granularity", "filter"))
    return verdicts, brute_force.verify(model, batch, verdicts, **options)


@pytest.mark.parametrize("quick", [False, True])
def test_a_missed_and_a_wrongly_found_weight_contradict(quick: bool) -> None:
    torch.manual_seed(0)
    model = Segmentor(nn.Conv2d(2, 4, 1, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    verdicts, found = checked(model, quick=quick)
    assert [v.scale_invariant for v in verdicts] == [True, False]
    assert found.disagreements(verdicts) == []
    for right in verdicts:
        turned = [dataclasses.replace(v, scale_invariant=v.scale_invariant ^ (v is right)) for v in verdicts]
        batch = {"inputs": torch.randn(3, 2, 8, 4)}
        assert brute_force.verify(model, batch, turned, quick=quick).disagreements(turned) == [right.name]


def test_the_whole_weight_and_each_filter_are_different_questions() -> None:
    model = Segmentor(nn.Conv2d(2, 8, 1, bias=False), nn.GroupNorm(2, 8))
    by_filter, found = checked(model)
    assert not by_filter[0].scale_invariant and found.disagreements(by_filter) == []
    by_layer, found = checked(model, granularity="layer")
    assert by_layer[0].scale_invariant and found.disagreements(by_layer) == []
    # Its filters one by one are not what the layer's verdict speaks of.
    filters = brute_force.verify(model, {"inputs": torch.randn(3, 2, 8, 4)}, by_layer, "filter")
    assert filters.disagreements(by_layer) == ["layers.0.weight"]


def test_filters_of_a_transposed_convolution_with_groups_are_multiplied_by_output_channel() -> None:
    verdicts, found = checked(Segmentor(nn.ConvTranspose2d(2, 4, 1, groups=2), nn.BatchNorm2d(4)))
    assert verdicts[0].scale_invariant and verdicts[0].transposed_groups == 2
    assert found.disagreements(verdicts) == [] and found.loss_change[verdicts[0].name] < 1e-12


def test_branches_that_start_at_zero_are_woken() -> None:
    model = Segmentor(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.Sigmoid())
    nn.init.zeros_(model.layers[1].weight)
    nn.init.zeros_(model.layers[2].weight)
    verdicts, found = checked(model)
    assert all(found.affects_loss(v.name) for v in verdicts)
    assert found.disagreements(verdicts) == []
    assert not model.layers[2].weight.any(), "the model itself is left alone"


def test_a_weight_that_affects_the_loss_too_little_does_not_contradict() -> None:
    model = Segmentor(nn.Conv2d(2, 4, 1, bias=False), nn.Conv2d(4, 4, 1))
    model.layers[1].bias.data.fill_(1.0)
    model.layers[1].weight.data.fill_(1e-12)
    verdicts, found = checked(model)
    assert found.loss_change[verdicts[0].name] < found.tolerance
    assert found.disagreements(verdicts) == []


def test_rounding_does_not_flip_what_a_loss_picks() -> None:
    class Picky(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * (x / 49 * 49 == x)  # equal but for rounding

    verdicts, found = checked(Segmentor(nn.Conv2d(2, 4, 1, bias=False), nn.BatchNorm2d(4), Picky()))
    assert verdicts[0].scale_invariant and found.loss_change[verdicts[0].name] == 0.0


def test_float32_inside_a_float64_model_is_widened() -> None:
    class Narrow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.new_zeros(x.shape, dtype=torch.float32)
            y[x > 0] = x[x > 0]
            return y

    verdicts, found = checked(Segmentor(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), Narrow()))
    assert found.dtype is torch.float64 and found.loss_change[verdicts[0].name] < 1e-12


def test_a_loss_that_does_not_repeat_proves_nothing_and_says_so() -> None:
    model = Segmentor(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4))
    model.restless = True
    with pytest.raises(ConfigError, match="not repeatable"):
        checked(model)
