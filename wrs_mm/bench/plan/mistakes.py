"""A mistake in a plan and where it is: the one error of all checks.

A location is the way to a value through the plan's content, ``("regularizers", 1, "wd", "weight_decay")``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from wrs_mm.errors import OptionError, PlanError, UsageError

Location: TypeAlias = tuple[Any, ...]
"""Keys and list positions that lead to a value."""


class Mistake(PlanError):
    """A mistake at a place of the plan; whoever knows the file adds its name and the line.

    Args:
        message: What is wrong and what to write instead.
        *location: Where: from the top of the plan or, of a check that sees one value only, within it.
    """

    def __init__(self, message: str, *location: Any) -> None:
        super().__init__(message)
        self.location: Location = location


@contextmanager
def located(*location: Any) -> Iterator[None]:
    """Say where in the plan a caller's mistake lies that is found within.

    Args:
        *location: Where; what the mistake says itself (the place within, the option) comes after it.

    Raises:
        Mistake: There was one.
    """
    try:
        yield
    except Mistake as mistake:
        raise Mistake(str(mistake), *location, *mistake.location) from None
    except OptionError as error:
        raise Mistake(str(error), *location, *([error.option] if error.option else [])) from None
    except UsageError as error:
        raise Mistake(str(error), *location) from None
