"""``wrs-mm bench``: each action reaches the function that does it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from wrs_mm.bench import commands
from wrs_mm.bench.packs import pack, unpack
from wrs_mm.bench.plan import display
from wrs_mm.bench.published import document
from wrs_mm.cli import main

P, D, A = Path("plan.yaml"), Path("d"), Path("a.tar.xz")


@pytest.mark.parametrize(
    ("module", "function", "arguments", "expected"),
    [
        (display, "show_plan", ["plan", "plan.yaml"], (P,)),
        (commands, "run", ["run", "plan.yaml", "--work-dir", "d"], (P, D)),
        (commands, "status", ["status", "d"], (D, None)),
        (commands, "status", ["status", "d", "--watch"], (D, True)),
        (commands, "status", ["status", "d", "--once"], (D, False)),
        (commands, "report", ["report", "d"], (D,)),
        (pack, "pack", ["pack", "d", "a.tar.xz"], (D, A, None)),
        (pack, "pack", ["pack", "d", "a.tar.xz", "--detections-of", "0", "3"], (D, A, [0, 3])),
        (unpack, "unpack", ["unpack", "a.tar.xz", "b", "--work-dir", "d"], ([A, Path("b")], D)),
        (document, "show_baselines", ["baselines"], ([], None)),
        (document, "show_baselines", ["baselines", "d", "--into", "a.md"], ([D], Path("a.md"))),
    ],
)
def test_each_action_calls_what_does_it(module, function, arguments, expected, monkeypatch):
    calls = []
    monkeypatch.setattr(module, function, lambda *given: calls.append(given) or 3)
    assert main.main(["bench", *arguments]) == 3
    assert [given[: len(expected)] for given in calls] == [expected]


def test_watch_and_once_exclude_each_other(capsys):
    assert main.main(["bench", "status", "d", "--watch", "--once"]) == 2
    assert "not allowed with" in capsys.readouterr().err


def test_the_parsers_of_all_actions_are_of_one_kind():
    actions = [a for a in main.build_parser("bench")._actions if isinstance(a, argparse._SubParsersAction)]
    bench = actions[0].choices["bench"]
    inner = next(a for a in bench._actions if isinstance(a, argparse._SubParsersAction))
    assert list(inner.choices) == ["plan", "run", "status", "report", "pack", "unpack", "baselines"]
