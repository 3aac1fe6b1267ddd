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
from pathlib import Path
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
    from wrs_mm.openmmlab.training import add_train_arguments

    add_train_arguments(parser)


def _train(args: argparse.Namespace) -> int:
    from wrs_mm.openmmlab.training import train

    with _remedies():
        train(**vars(args))
    return 0


def _add_test_arguments(parser: argparse.ArgumentParser) -> None:
    from wrs_mm.openmmlab.training import add_test_arguments

    add_test_arguments(parser)


def _test(args: argparse.Namespace) -> int:
    from wrs_mm.openmmlab.training import test

    with _remedies():
        test(**vars(args))
    return 0


def _add_audit_arguments(parser: argparse.ArgumentParser) -> None:
    from wrs_mm.audit.brute_force import add_audit_arguments

    add_audit_arguments(parser)


def _audit(args: argparse.Namespace) -> int:
    from wrs_mm.audit.brute_force import run_audit

    return run_audit(args)


def _add_rescale_arguments(parser: argparse.ArgumentParser) -> None:
    from wrs_mm.rescale_checkpoint import add_rescale_arguments

    add_rescale_arguments(parser)


def _rescale(args: argparse.Namespace) -> int:
    from wrs_mm.rescale_checkpoint import run_rescale

    return run_rescale(args)


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    from wrs_mm.bench.executors.options import at_least_one

    datasets = parser.add_subparsers(dest="dataset", required=True)
    made = {
        "mini": "render the small sets, no network",
        "real": "fetch tree crowns and nuclei through pip",
        "standin": "render stand-ins for COCO 2017 and Cityscapes in their exact layout",
    }
    for name, what in made.items():
        make = datasets.add_parser(name, help=what, description=what)
        make.add_argument(
            "--root", type=Path, default=Path("data"), help="folder to write to (default: %(default)s)"
        )
    what = "is COCO 2017 or Cityscapes complete, and laid out as the recipes expect?"
    check = datasets.add_parser("check", help=what, description=what)
    check.add_argument("name", metavar="{coco,cityscapes}", choices=["coco", "cityscapes"], help="which one")
    check.add_argument("folder", metavar="ROOT", type=Path, help="what the recipes call data_root")
    check.add_argument("--any-size", action="store_true", help="accept a smaller set in the same layout")
    check.add_argument(
        "--sample",
        type=at_least_one,
        default=100,
        metavar="N",
        help="images of each split to decode (default: %(default)s)",
    )
    check.add_argument("--seed", type=int, default=0, help="which images (default: %(default)s)")


def _data(args: argparse.Namespace) -> int:
    from wrs_mm import datasets

    if args.dataset == "check":
        from wrs_mm.datasets.check import run_check

        return run_check(args.name, args.folder, any_size=args.any_size, count=args.sample, seed=args.seed)
    make = {"mini": datasets.render_mini, "real": datasets.fetch_real, "standin": datasets.render_standins}
    for folder in make[args.dataset](args.root):
        print(folder)
    return 0


def _add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    what = "the runs of a plan, what differs between its arms, and what to look out for"
    plan = actions.add_parser("plan", help=what, description=what)
    plan.add_argument("plan", type=Path, help="the plan, a YAML file")

    run = actions.add_parser("run", help="train what the plan asks for and print the table")
    run.add_argument("plan", type=Path, help="the plan, a YAML file")
    run.add_argument(
        "--work-dir",
        type=Path,
        required=True,
        help="folder of runs and results; reused if it exists",
    )
    from wrs_mm.bench.executors.options import add_executor_arguments

    add_executor_arguments(run)

    what = "what each run of a work dir is doing; on a terminal a live table"
    status = actions.add_parser("status", help=what, description=what)
    status.add_argument("work_dir", type=Path, help="the work dir of a bench run")
    look = status.add_mutually_exclusive_group()
    look.add_argument("--watch", action="store_true", default=None, help="show it until all runs have ended")
    look.add_argument("--once", dest="watch", action="store_false", help="show it once")

    report = actions.add_parser("report", help="compare over images too, and write tables and report.html")
    report.add_argument("work_dir", type=Path, help="the work dir of a bench run")

    what = "the toolboxes' published baselines beside our results, and the GPU hours to expect"
    published = actions.add_parser("published", help=what, description=what)
    published.add_argument(
        "work_dir", type=Path, nargs="*", help="work dirs of bench runs; their results fill our cells"
    )
    published.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help="put the tables into a document instead, where <!-- published --> or <!-- gpu-hours --> is",
    )


def _bench(args: argparse.Namespace) -> int:
    if args.action == "published":
        from wrs_mm.bench.published.document import run_published

        return run_published(args.work_dir, args.into)
    if args.action == "plan":
        from wrs_mm.bench.plan.display import show_plan

        return show_plan(args.plan)

    from wrs_mm.cli import bench as commands

    if args.action == "run":
        from wrs_mm.bench.executors.options import make_executor

        return commands.run(args.plan, args.work_dir, lambda: make_executor(args))
    if args.action == "status":
        return commands.status(args.work_dir, args.watch)
    return commands.report(args.work_dir)


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
