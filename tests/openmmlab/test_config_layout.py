"""mmengine lays a config out once, and to the same text."""

from __future__ import annotations

from typing import Any

import pytest
from mmengine.config import Config, config
from yapf.yapflib.yapf_api import FormatCode

from wrs_mm.openmmlab import prepare
from wrs_mm.openmmlab.config_layout import KEPT, remembering


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that yapf is asked to lay out from now on."""
    asked: list[str] = []

    def lay_out(text: str, **options: Any) -> tuple[str, bool]:
        asked.append(text)
        return FormatCode(text, **options)

    monkeypatch.setattr(config, "FormatCode", remembering(lay_out))
    return asked


def test_the_text_is_mmengines_also_after_a_change(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = Config({"model": {"type": "FCN", "channels": list(range(40))}, "lr": 0.1})
    texts = []
    for lr in (0.1, 0.2, 0.1):
        cfg.lr = lr
        texts.append((cfg.pretty_text, cfg.pretty_text))
    assert len(calls) == 2
    monkeypatch.setattr(config, "FormatCode", FormatCode)
    for lr, (first, second) in zip((0.1, 0.2, 0.1), texts, strict=True):
        cfg.lr = lr
        assert first == second == cfg.pretty_text and f"lr = {lr}" in first


def test_the_options_of_the_layout_count() -> None:
    one = remembering(lambda text, **options: (f"{text} {options}", True))
    assert one("a", width=1) != one("a", width=2) != one("b", width=2)


def test_the_latest_are_kept() -> None:
    asked: list[str] = []

    def lay_out(text: str) -> tuple[str, bool]:
        asked.append(text)
        return text, True

    lay_out_once = remembering(lay_out)
    for index in range(3 * KEPT):
        lay_out_once("the training's")
        lay_out_once(f"another, {index}")
    assert asked.count("the training's") == 1
    lay_out_once("another, 0")
    assert asked.count("another, 0") == 2


def test_whoever_imports_us_has_it_once() -> None:
    kept = config.FormatCode
    prepare()
    assert config.FormatCode is kept and hasattr(kept, "__wrapped__")
