"""mmpretrain's classifiers where it is installed, one line where not (synthetic_batch.py, resolve.py)."""

from __future__ import annotations

import importlib.util

import pytest

from wrs_mm.audit.verdicts import audit_model
from wrs_mm.bench.plan.resolve import task
from wrs_mm.cli import main
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch
from wrs_mm.regularizers import apply_regularizer

CONFIG = "mmpretrain::resnet/resnet18_8xb32_in1k.py"


def test_where_it_is_not_installed_one_line_says_how_to(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "mmpretrain" else find(name, *rest)
    )
    assert main.main(["train", CONFIG]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.endswith(
        "no package 'mmpretrain' is installed: pip install mmpretrain\n"
    )


def test_where_it_is_installed_its_configs_are_recipes() -> None:
    pytest.importorskip("mmpretrain")
    config = load_config(CONFIG)
    assert task(config) == "classification"
    model = build_model(config)
    verdicts = audit_model(model, random_batch(model, size=(64, 64)))
    assert (sum(v.selected for v in verdicts), len(verdicts)) == (20, 21)
    assert apply_regularizer(config, "wrs").optim_wrapper.type == "WRSOptimWrapper"
