"""Where ``mmcv._ext`` comes from, and what of it is missing.

wrs_mm.openmmlab.mmcv_ops.missing names that, and wrs_mm.openmmlab.mmcv_ops.build_info what mmcv asks beside.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from wrs_mm.errors import UsageError
from wrs_mm.openmmlab.mmcv_ops import MissingOperatorError, provide_mmcv_ext
from wrs_mm.openmmlab.mmcv_ops.extension import IMPLEMENTED_IN
from wrs_mm.openmmlab.mmcv_ops.missing import MISSING_OPERATORS


@pytest.fixture
def other_mmcv(tmp_path, monkeypatch):
    """A package called mmcv that Python finds before the installed one, not yet imported."""
    for name in [m for m in sys.modules if m == "mmcv" or m.startswith("mmcv.")]:
        monkeypatch.delitem(sys.modules, name)
    package = tmp_path / "mmcv"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield package
    for name in [m for m in sys.modules if m == "mmcv" or m.startswith("mmcv.")]:
        sys.modules.pop(name)


def test_mmcv_without_compiled_operators_gets_them(other_mmcv):
    assert provide_mmcv_ext()
    assert "mmcv" not in sys.modules  # providing them does not import mmcv
    from mmcv import _ext

    assert callable(_ext.nms)


def test_a_second_call_changes_nothing(other_mmcv):
    assert provide_mmcv_ext()
    first = sys.modules["mmcv._ext"]
    assert provide_mmcv_ext()
    assert sys.modules["mmcv._ext"] is first


def test_a_compiled_mmcv_is_left_alone(other_mmcv):
    (other_mmcv / "_ext.py").write_text("nms = 'compiled'\n")
    assert not provide_mmcv_ext()
    from mmcv import _ext

    assert _ext.nms == "compiled"
    assert not provide_mmcv_ext()  # nor once it is imported


def test_without_any_mmcv_there_is_nothing_to_do(other_mmcv, monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    importlib.invalidate_caches()
    assert not provide_mmcv_ext()
    assert "mmcv._ext" not in sys.modules


def test_the_spec_can_be_found_and_has_a_loader():
    provide_mmcv_ext()
    spec = importlib.util.find_spec("mmcv._ext")
    assert spec is not None
    assert spec.loader is not None


def operators_of(file):
    """What a file of mmcv loads from its extension."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "load_ext":
            found |= set(ast.literal_eval(node.args[1]))
    return found


def test_every_operator_that_mmcv_loads_is_either_provided_or_known_to_be_missing():
    import mmcv

    files = Path(mmcv.__file__).parent.rglob("*.py")
    assert set().union(*map(operators_of, files)) == set(IMPLEMENTED_IN) | MISSING_OPERATORS
    assert not set(IMPLEMENTED_IN) & MISSING_OPERATORS


def names_from_mmcv_ops(package):
    """The names that a toolbox's code imports from ``mmcv.ops``, and those that its configs may build."""
    root = Path(importlib.util.find_spec(package).submodule_search_locations[0])
    texts = (file.read_text(encoding="utf-8") for file in root.rglob("*.py"))
    names = set()
    for text in texts:
        names |= set(re.findall(r"""type=["'](\w+)["']""", text))
        if "mmcv.ops" in text:
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mmcv.ops"):
                    names |= {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize(
    ("toolbox", "examples"),
    [("mmdet", {"MaskedConv2d", "DeformRoIPoolPack", "MMSyncBN"}), ("mmseg", {"PSAMask", "point_sample"})],
)
def test_no_operator_that_a_toolbox_or_one_of_its_configs_names_is_missing(toolbox, examples):
    provide_mmcv_ext()
    import mmcv.ops
    from mmengine.registry import MODELS

    folder = Path(mmcv.ops.__file__).parent
    reached, files = set(), set()
    for name in names_from_mmcv_ops(toolbox):
        found = getattr(mmcv.ops, name, None) or MODELS.module_dict.get(name)
        module = getattr(found, "__module__", None) or getattr(found, "__name__", "")
        if module.startswith("mmcv.ops."):
            reached.add(name)
            files.add(folder / f"{module.rpartition('.')[2]}.py")
    assert examples <= reached
    while True:  # what those build on
        imported = {
            folder / f"{name}.py"
            for file in files
            for name in re.findall(r"^from \.(\w+) import", file.read_text(encoding="utf-8"), re.MULTILINE)
        }
        if imported <= files:
            break
        files |= imported
    missing = set().union(*map(operators_of, files)) & MISSING_OPERATORS
    # Beside plain NMS, mmcv's file has that of rotated boxes.
    assert missing <= {"nms_rotated", "nms_quadri"}
    assert not missing & reached


def test_an_unknown_name_is_an_attribute_error():
    provide_mmcv_ext()
    with pytest.raises(AttributeError, match="no_such_operator"):
        _ = sys.modules["mmcv._ext"].no_such_operator


def test_a_missing_operator_says_what_to_do_when_it_is_called():
    provide_mmcv_ext()
    import mmcv.ops

    boxes = torch.tensor([[5.0, 5.0, 4.0, 2.0, 0.3]])
    with pytest.raises(MissingOperatorError) as caught:
        mmcv.ops.nms_rotated(boxes, torch.tensor([0.5]), 0.5)
    assert isinstance(caught.value, UsageError)
    assert isinstance(caught.value, NotImplementedError)
    message = str(caught.value)
    assert "nms_rotated" in message
    assert "docs/operators.md" in message
    assert "\n" not in message


@pytest.mark.slow
def test_both_toolboxes_import_and_a_real_backbone_trains_with_deformable_convolutions():
    program = """
import warnings; warnings.simplefilter('ignore')
from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext
assert provide_mmcv_ext()
import mmdet.models, mmseg.models
import torch
from mmdet.models import ResNet
torch.manual_seed(0)
for version in ('DCN', 'DCNv2'):
    backbone = ResNet(depth=50, base_channels=4, stem_channels=4, frozen_stages=-1,
        dcn=dict(type=version, deform_groups=2), stage_with_dcn=(False, True, True, True))
    sum(level.square().mean() for level in backbone(torch.randn(2, 3, 64, 64))).backward()
    without = [n for n, p in backbone.named_parameters() if p.grad is None]
    assert not without, without
    offsets = [p.grad.abs().max() for n, p in backbone.named_parameters() if 'conv_offset' in n]
    assert offsets and all(g > 0 for g in offsets), offsets
print('trained')
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip().endswith("trained"), done.stderr


def test_mmcv_says_that_nothing_was_compiled():
    from mmcv.utils import collect_env

    found = collect_env()
    assert found["MMCV Compiler"] == found["MMCV CUDA Compiler"] == "none (operators provided by wrs_mm)"
