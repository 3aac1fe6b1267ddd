"""The command ``wrs-mm`` (also ``python -m wrs_mm.cli``).

This file finds the command and turns its outcome into an exit status. What a command takes and does is in a
module of its own, imported only when it is called, so that ``wrs-mm --version`` does not wait for mmdet.

Exit status: 0 done, 2 the caller's mistake (one line on stderr says what to change), 130
interrupted, 1 anything else (with its traceback).
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from wrs_mm import __version__
from wrs_mm.errors import EXIT_INTERRUPTED, NotFiniteError, UsageError
from wrs_mm.openmmlab.distributed import end_process, report_mistake
from wrs_mm.values import did_you_mean, one_line


class Command(NamedTuple):
    """One command of ``wrs-mm``.

    Attributes:
        module: What has its ``add_arguments(parser)`` and its ``run(args)``, which returns the exit status.
        help: What it does, in a few words.
    """

    module: str
    help: str


COMMANDS: Mapping[str, Command] = {
    "train": Command("wrs_mm.cli.train", "train a detector or a segmentor"),
    "test": Command("wrs_mm.cli.test", "evaluate a checkpoint"),
    "config": Command("wrs_mm.cli.config", "print a config, or an arm of a recipe, in one piece"),
    "apply": Command("wrs_mm.cli.apply", "write a config with a regularizer, and say what changes"),
    "audit": Command("wrs_mm.cli.audit", "which weights are scale-invariant, and why"),
    "probe": Command("wrs_mm.cli.probe", "weight norms and feature spans: the paper's two implicit biases"),
    "rescale-checkpoint": Command("wrs_mm.cli.rescale", "put a checkpoint's filters to a norm"),
    "data": Command("wrs_mm.cli.data", "make the small datasets, check and split the large ones"),
    "tools": Command("wrs_mm.cli.tools", "print the folder of dist_train.sh and the other launchers"),
    "bench": Command("wrs_mm.cli.bench", "compare regularizers over a plan of runs"),
}
"""The subcommands, in the order in which the help lists them."""

RENAMED: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("rescale",): ("rescale-checkpoint",),
    ("data", "mini"): ("data", "make", "mini"),
    ("data", "real"): ("data", "make", "real"),
    ("data", "standin"): ("data", "make", "standin"),
    ("bench", "published"): ("bench", "baselines"),
}
"""Names of before the first release, which this version still takes, and the names now."""


class _ArgumentError(Exception):
    """Wrong arguments; carries the whole line to print."""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose mistakes are one line, without the usage text.

    Options are written out: what abbreviates one option today would name two tomorrow. Of a command within
    a command, the innermost parser leaves itself in the result, as ``parser``.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "allow_abbrev": False})
        self.set_defaults(parser=self)

    def error(self, message: str) -> NoReturn:
        raise _ArgumentError(f"{self.prog}: error: {message} (see {self.prog} --help)")

    def refuse(self, unrecognized: Sequence[str]) -> NoReturn:
        """Report arguments that no parser took, with the option that the first of them may have meant."""
        option = next((word.partition("=")[0] for word in unrecognized if word.startswith("-")), "")
        close = did_you_mean(option, self._option_string_actions)
        self.error(f"unrecognized arguments: {' '.join(unrecognized)}{close}")


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Build the parser of ``wrs-mm``.

    Args:
        command: Only this command gets its arguments, because adding them may import what they
            talk about. None: no command does (enough for ``--help`` and ``--version``).
    """
    parser = _Parser(
        prog="wrs-mm",
        description="Weight rescaling for OpenMMLab, and a benchmark of regularizers.",
    )
    parser.add_argument("--version", action="version", version=f"wrs-mm {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, entry in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=entry.help, description=entry.help)
        if name == command:
            importlib.import_module(entry.module).add_arguments(subparser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``wrs-mm`` and return its exit status.

    Args:
        argv: The arguments after the program's name; None takes them from the command line.
    """
    arguments = _current_names(list(sys.argv[1:] if argv is None else argv))
    command = arguments[0] if arguments and arguments[0] in COMMANDS else None
    program = "wrs-mm"
    try:
        args, unrecognized = build_parser(command).parse_known_args(arguments)
        parser, name = args.parser, args.command
        if unrecognized:
            parser.refuse(unrecognized)
        program = parser.prog
        del args.parser, args.command
        return int(importlib.import_module(COMMANDS[name].module).run(args))
    except _ArgumentError as error:
        report_mistake(str(error))
        return 2
    except UsageError as error:
        report_mistake(f"{program}: error: {one_line(error)}")
        return 2
    except NotFiniteError as error:
        report_mistake(f"{program}: the training diverged: {one_line(error)}")
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except ImportError as error:
        # An extension module that Ctrl-C meets while it loads says that it could not be loaded.
        if not _is_interruption(error):
            raise
        return EXIT_INTERRUPTED


def _is_interruption(error: BaseException | None) -> bool:
    """Whether an exception came of Ctrl-C, by way of others."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def run_and_exit(argv: Sequence[str] | None = None) -> NoReturn:
    """Run ``wrs-mm`` and end this process with its exit status: what the program and the scripts call."""
    end_process(main(argv))


def _current_names(arguments: list[str]) -> list[str]:
    """The arguments with the command's name of today, and a line on stderr where it had another."""
    for old, new in RENAMED.items():
        if tuple(arguments[: len(old)]) == old:
            print(f"`wrs-mm {' '.join(old)}` is now `wrs-mm {' '.join(new)}`", file=sys.stderr)
            return [*new, *arguments[len(old) :]]
    return arguments
