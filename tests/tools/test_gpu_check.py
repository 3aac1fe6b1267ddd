"""tools/perf/gpu_check.py, tried on a CPU: its page, and what becomes of a check that fails."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from scripts import load_script

from wrs_mm import regularizers
from wrs_mm.openmmlab.mmcv_ops.extension import IMPLEMENTED_IN

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "perf" / "gpu_check.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_script(SCRIPT, monkeypatch)


def test_what_fails_is_a_line_of_the_page_and_the_rest_goes_on(script: ModuleType) -> None:
    apart = script.Check("Operators", "one", lambda: script._compared([torch.ones(2)], [torch.zeros(2)]))
    found = [(check, script.outcome(check)) for check in (apart, apart._replace(run=lambda: "fine"))]
    page = script.page("cpu", found)
    assert "1 of 2 checks hold" in page
    assert "| one | **failed**: AssertionError: differs by 1e+00 from the CPU |" in page
    assert "| one | fine |" in page


def test_every_operator_is_tried(script: ModuleType) -> None:
    tried = re.split(r", | and ", ", ".join(script.OPERATORS))
    parts = r"_(forward|backward)(_(input|parameters|mean|var|output|param|data))?$"
    wanted = {re.sub(parts, "", name) for name, file in IMPLEMENTED_IN.items() if file != "build_info"}
    assert wanted <= set(tried)


def test_a_nan_on_one_side_alone_is_a_difference(script: ModuleType) -> None:
    nan = torch.tensor([1.0, torch.nan])
    assert script._compared([nan], [nan.clone()]) == "differs by 0e+00 from the CPU"
    with pytest.raises(AssertionError, match="NaN"):
        script._compared([torch.ones(2)], [nan])


@pytest.mark.slow
def test_the_script_writes_its_page(tmp_path: Path) -> None:
    options = ["--device", "cpu", "--recipes", "mini/retinanet*", "--size", "64", "--repeats", "1"]
    command = [sys.executable, str(SCRIPT), *options, "--out", str(tmp_path / "page.md")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "page.md").read_text()
    assert page.count("`mini/retinanet_r18-narrow_fpn_mini-coco`, ") == len(regularizers.names())
    assert "failed" not in page


def test_what_is_no_device_is_said_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--device", "gpu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("gpu is no device; write cuda:0 or cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("gpu_check: error: PyTorch finds no GPU")
