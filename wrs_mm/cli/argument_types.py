"""Types of arguments: the text of the command line → a value, or one line that refuses it."""

from __future__ import annotations

import argparse


def at_least_one(text: str) -> int:
    """Read a whole number of at least 1.

    Raises:
        ArgumentTypeError: It is something else.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def name_and_value(text: str) -> tuple[str, str | bool]:
    """Read ``NAME=VALUE``, or ``NAME`` alone, whose value is True; hyphens before it are left out.

    Raises:
        ArgumentTypeError: There is no name.
    """
    name, equals, value = text.lstrip("-").partition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} is neither NAME nor NAME=VALUE")
    return name, value if equals else True
