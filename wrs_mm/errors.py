"""The exceptions that mean «the caller has to change something».

The command line turns every :class:`UsageError` into one line on stderr and exit status 2, a
:class:`NotFiniteError` into one and exit status 1; any other exception is a defect and keeps its traceback
(exit status 1).
"""

from __future__ import annotations

EXIT_INTERRUPTED = 130
"""Exit status of a program that Ctrl-C or SIGTERM interrupted: 128 + SIGINT, what a shell reports."""


class UsageError(ValueError):
    """The caller's mistake. Its message is one line that says what to change."""


class ConfigError(UsageError):
    """A config is missing, does not parse, or asks for something that does not exist."""


class OptionError(UsageError):
    """An option has an unknown name or a value out of its range.

    Args:
        message: What is wrong and what to write instead.
        option: The option's name, where one option is to blame and the raiser knows which.
    """

    def __init__(self, message: str, option: str | None = None) -> None:
        super().__init__(message)
        self.option = option


class ModelError(UsageError):
    """Weight rescaling cannot be applied to this model."""


class DatasetError(UsageError):
    """A dataset is missing, incomplete or not laid out as expected."""


class CheckpointError(UsageError):
    """A checkpoint is missing, damaged or holds what must not be loaded."""


class PlanError(UsageError):
    """A benchmark plan is malformed, or does not belong to this work dir."""


class NotFiniteError(ArithmeticError):
    """A training has left the numbers that it could go on with: nobody's mistake, but its end."""
