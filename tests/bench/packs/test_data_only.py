"""A config of a pack may hold data and nothing that does anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrs_mm.bench.packs.data_only import is_data
from wrs_mm.openmmlab.configs import load_config

CONFIGS = Path(__file__).parents[3] / "configs"
RECIPES = [
    path
    for folder in sorted(CONFIGS.iterdir())
    if folder.name != "_base_"
    # Reading them takes long: one of each kind.
    for path in sorted(folder.glob("*.py"))[:1]
]


def test_resolved_configs_are_data():
    assert len(RECIPES) > 3
    assert [path.name for path in RECIPES if not is_data(load_config(path).pretty_text)] == []


@pytest.mark.parametrize("text", ["", "a = 1\nb = dict(c=[-1.5, None, (True, 'x')], d={'e f': {1}})"])
def test_data_is_data(text):
    assert is_data(text)


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "print(1)",
        "a = open('x')",
        "a = dict(b=__import__('os').system('true'))",
        "a = dict(**b)",
        "a = dict([1])",
        "a = b",
        "dict = 1",
        "a = dict = 1",
        "a.b = 1",
        "a, b = 1, 2",
        "_base_ = '/somewhere/else.py'",
        "a = [x for x in (1, 2)]",
        "a = f'{1}'",
        "a = lambda: 1",
        "a = 1 + 1",
        "a = {**{}, 'b': print}",
        "def f(): ...",
        "class A: a = 1",
        "a = 1; del a",
        "a = (",
        "\0",
    ],
)
def test_anything_else_is_not(text):
    assert not is_data(text)
