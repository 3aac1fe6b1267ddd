"""``wrs-mm rescale-checkpoint``: its target; what it does is tested in tests/test_rescale_checkpoint.py."""

from __future__ import annotations

import argparse

import pytest

from wrs_mm.cli import rescale


def parse(target: str) -> str | float:
    parser = argparse.ArgumentParser(exit_on_error=False)
    rescale.add_arguments(parser)
    return parser.parse_args(["c.py", "a.pth", "b.pth", "--target", target]).target


def test_a_target_is_unit_or_a_positive_number():
    assert parse("unit") == "unit"
    assert parse("0.5") == 0.5
    for target in ("0", "-1", "inf", "nan", "one"):
        with pytest.raises(argparse.ArgumentError, match="is neither 'unit' nor a number > 0"):
            parse(target)
    with pytest.raises(argparse.ArgumentError, match="the norms that the checkpoint has already"):
        parse("init")
