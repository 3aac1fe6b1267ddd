"""The command ``wrs-mm`` (also ``python -m wrs_mm.cli``).

This file only reads arguments and hands them on: each command is a pair of functions, one that adds
its arguments and one that does the work. Both import what they need when they are called, so that
``wrs-mm --version`` does not wait for mmdet.

Exit status: 0 done, 2 the caller's mistake (one line on stderr says what to change), 130
interrupted, 1 anything else (with its traceback).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

from wrs_mm import __version__
from wrs_mm.errors import DatasetError, UsageError
from wrs_mm.openmmlab.distributed import report_mistake

INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C ended: 128 + SIGINT."""


class _ArgumentError(Exception):
    """Wrong arguments; carries the whole line to print."""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose mistakes are one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        raise _ArgumentError(f"{self.prog}: error: {message} (see {self.prog} --help)")


class Command(NamedTuple):
    """One command of ``wrs-mm``.

    Attributes:
        help: What it does, in a few words.
        add_arguments: Adds its arguments to a parser.
        run: Does it and returns the exit status.
    """

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


@contextmanager
def _remedies() -> Iterator[None]:
    """Where one of our own datasets is missing, say which command makes it."""
    try:
        yield
    except DatasetError as error:
        from wrs_mm.datasets.layout import with_remedy

        raise with_remedy(error) from error


def _add_train_arguments(parser: argparse.ArgumentParser) -> None:
    from wrs_mm.cli.train import add_train_arguments

    add_train_arguments(parser)


def _train(args: argparse.Namespace) -> int:
    from wrs_mm.openmmlab.training import train

    with _remedies():
        train(**vars(args))
    return 0


def _add_test_arguments(parser: argparse.ArgumentParser) -> None:
    from wrs_mm.cli.train import add_test_arguments

    add_test_arguments(parser)


def _test(args: argparse.Namespace) -> int:
    from wrs_mm.openmmlab.training import test

    with _remedies():
        test(**vars(args))
    return 0


def _add_audit_arguments(parser: argparse.ArgumentParser) -> None:
    from wrs_mm.cli.audit import add_audit_arguments

    add_audit_arguments(parser)


def _audit(args: argparse.Namespace) -> int:
    from wrs_mm.cli.audit import run_audit

    return run_audit(args)


def _add_rescale_arguments(parser: argparse.ArgumentParser) -> None:
    from wrs_mm.cli.rescale import add_rescale_arguments

    add_rescale_arguments(parser)


def _rescale(args: argparse.Namespace) -> int:
    from wrs_mm.cli.rescale import run_rescale

    return run_rescale(args)


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    from wrs_mm.cli.data import add_data_arguments

    add_data_arguments(parser)


def _data(args: argparse.Namespace) -> int:
    from wrs_mm.cli.data import run_data

    return run_data(args)


def _add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    from wrs_mm.cli.bench import add_bench_arguments

    add_bench_arguments(parser)


def _bench(args: argparse.Namespace) -> int:
    from wrs_mm.cli.bench import run_bench

    return run_bench(args)


COMMANDS = {
    "train": Command("train a detector or a segmentor", _add_train_arguments, _train),
    "test": Command("evaluate a checkpoint", _add_test_arguments, _test),
    "audit": Command("which weights are scale-invariant, and why", _add_audit_arguments, _audit),
    "rescale": Command("put a checkpoint's filters to a norm", _add_rescale_arguments, _rescale),
    "data": Command("make the small datasets, check the large ones", _add_data_arguments, _data),
    "bench": Command("compare regularizers over a plan of runs", _add_bench_arguments, _bench),
}


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
            entry.add_arguments(subparser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``wrs-mm`` and return its exit status.

    Args:
        argv: The arguments after the program's name; None takes them from the command line.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments and arguments[0] in COMMANDS else None
    try:
        args = build_parser(command).parse_args(arguments)
        name = args.command
        del args.command
        return COMMANDS[name].run(args)
    except _ArgumentError as error:
        report_mistake(str(error))
        return 2
    except UsageError as error:
        message = " ".join(str(error).split())
        report_mistake(f"wrs-mm {command}: error: {message}")
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
