"""``wrs-mm bench``: compare regularizers over a plan of runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from wrs_mm.bench.executors.options import make_executor
from wrs_mm.cli.executor_options import add_executor_arguments, executor_options

_PLAN = "the plan: a YAML file, or the name of one that the package carries, such as mini"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``wrs-mm bench``."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    what = "the runs of a plan, what differs between its arms, and what to look out for"
    plan = actions.add_parser("plan", help=what, description=what)
    plan.add_argument("plan", type=Path, help=_PLAN)
    plan.add_argument(
        "--measured",
        type=Path,
        metavar="DIR",
        help="a work dir with runs of the same recipes: say from them how long the plan takes, and how small "
        "a difference it can tell",
    )

    what = "train what the plan asks for and print the table"
    run = actions.add_parser("run", help=what, description=what)
    run.add_argument("plan", type=Path, help=_PLAN)
    run.add_argument(
        "--work-dir",
        type=Path,
        required=True,
        help="folder of runs and results; reused if it exists",
    )
    add_executor_arguments(run)

    what = "what each run of a work dir is doing; on a terminal a live table"
    status = actions.add_parser("status", help=what, description=what)
    status.add_argument("work_dir", type=Path, help="the work dir of a bench run")
    look = status.add_mutually_exclusive_group()
    look.add_argument("--watch", action="store_true", default=None, help="show it until all runs have ended")
    look.add_argument("--once", dest="watch", action="store_false", help="show it once")

    what = "compare over images too, and write tables and report.html"
    report = actions.add_parser("report", help=what, description=what)
    report.add_argument("work_dir", type=Path, help="the work dir of a bench run")

    what = "write what a benchmark found into one small file, without checkpoints"
    pack = actions.add_parser("pack", help=what, description=what)
    pack.add_argument("work_dir", type=Path, help="the work dir of a bench run")
    pack.add_argument("file", type=Path, help="the pack, *.tar.xz")
    pack.add_argument(
        "--detections-of",
        type=int,
        nargs="+",
        metavar="SEED",
        help="keep the detections of these seeds' runs alone, of all others their matches",
    )

    what = "lay the runs of packs into a work dir, from which bench run and bench report go on"
    unpack = actions.add_parser("unpack", help=what, description=what)
    unpack.add_argument("files", type=Path, nargs="+", metavar="file", help="packs of one plan")
    unpack.add_argument(
        "--work-dir", type=Path, required=True, help="the work dir of that plan, or a new folder"
    )

    what = "the toolboxes' published baselines beside our results, and the GPU hours to expect"
    baselines = actions.add_parser("baselines", help=what, description=what)
    baselines.add_argument(
        "work_dir", type=Path, nargs="*", help="work dirs of bench runs; their results fill our cells"
    )
    baselines.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help="put the tables into a document instead, where <!-- published --> or <!-- gpu-hours --> is",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; each action imports what it needs, since ``run`` should start without pandas.

    Raises:
        UsageError: The plan, the work dir, a dataset or an option cannot be used.
    """
    if args.action == "plan" and args.measured is None:
        from wrs_mm.bench.plan.display import show_plan

        return show_plan(args.plan)
    if args.action == "baselines":
        from wrs_mm.bench.published.document import show_baselines

        return show_baselines(args.work_dir, args.into)
    if args.action == "pack":
        from wrs_mm.bench.packs.pack import pack

        return pack(args.work_dir, args.file, args.detections_of)
    if args.action == "unpack":
        from wrs_mm.bench.packs.unpack import unpack

        return unpack(args.files, args.work_dir)

    from wrs_mm.bench import commands

    if args.action == "plan":
        return commands.plan(args.plan, args.measured)
    if args.action == "run":
        return commands.run(args.plan, args.work_dir, lambda: make_executor(executor_options(args)))
    if args.action == "status":
        return commands.status(args.work_dir, args.watch)
    return commands.report(args.work_dir)
