"""The caller's mistake is one line and exit status 2, a divergence one line; a defect is neither."""

from __future__ import annotations

from typing import NoReturn

import pytest

from wrs_mm import errors
from wrs_mm.cli import main

MISTAKES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and kind.__module__ == errors.__name__ and kind is not errors.NotFiniteError
]


def fail_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def build_parser(command: str | None) -> NoReturn:
        raise error

    monkeypatch.setattr(main, "build_parser", build_parser)


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_one_line_and_status_2(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert issubclass(kind, errors.UsageError)
    fail_with(kind("write this\ninstead"), monkeypatch)
    assert main.main(["audit", "config.py"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("error: write this instead")


def test_a_training_that_diverged_is_one_line_and_nobodys_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(errors.NotFiniteError("norms have grown"), monkeypatch)
    assert main.main(["train", "config.py"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("the training diverged: norms have grown")


def test_a_defect_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(ValueError("a defect"), monkeypatch)
    with pytest.raises(ValueError, match="a defect"):
        main.main(["audit", "config.py"])
