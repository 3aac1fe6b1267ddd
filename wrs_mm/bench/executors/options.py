"""The arguments of ``wrs-mm bench run`` that say where runs go."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wrs_mm.errors import OptionError

if TYPE_CHECKING:
    from wrs_mm.bench.executors import Executor

_SLURM = {
    "partition": (str, "NAME", "partition (default: Slurm's)"),
    "time": (int, "MINUTES", "time limit of a job; one that reaches it goes on in another (default: 1440)"),
    "nodes": (int, "N", "nodes a run (default: 1)"),
    "tasks-per-node": (
        int, "N", "processes that train on each node (default: the GPUs a node, without GPUs 1)"
    ),
    "gpus-per-node": (int, "N", "GPUs a run on each node (default: those of --gpus-per-run, else none)"),
    "cpus-per-task": (int, "N", "processors of each process (default: Slurm's)"),
    "mem": (str, "SIZE", "memory a node, such as 32GB"),
    "account": (str, "NAME", "account to charge"),
    "qos": (str, "NAME", "quality of service"),
    "constraint": (str, "TEXT", "features that nodes must have"),
}  # fmt: skip
"""Options of Slurm: type, placeholder, help."""


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


def _option(text: str) -> tuple[str, str | bool]:
    name, equals, value = text.lstrip("-").partition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} is neither NAME nor NAME=VALUE")
    return name, value if equals else True


def add_executor_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that :func:`make_executor` reads."""
    parser.add_argument(
        "--jobs",
        type=at_least_one,
        metavar="N",
        help="runs at once (default: as many as the GPUs allow; without a GPU 2, on a single core 1; "
        "under Slurm all)",
    )
    parser.add_argument(
        "--gpus-per-run", type=at_least_one, metavar="N", help="GPUs that train one run (default: 1)"
    )
    parser.add_argument(
        "--executor",
        choices=("local", "slurm"),
        default="local",
        help="where runs go: this machine, or one Slurm job a run (default: %(default)s)",
    )
    slurm = parser.add_argument_group("Slurm")
    for name, (kind, metavar, what) in _SLURM.items():
        parse = at_least_one if kind is int else str
        slurm.add_argument(f"--slurm-{name}", type=parse, metavar=metavar, help=what)
    slurm.add_argument(
        "--slurm-option",
        type=_option,
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="any other option of sbatch, such as nice=100 or exclusive; may be repeated",
    )


def make_executor(args: argparse.Namespace) -> Executor:
    """The executor that the arguments ask for.

    Raises:
        OptionError: Options contradict each other or this machine.
    """
    given = {name: getattr(args, f"slurm_{name.replace('-', '_')}") for name in _SLURM}
    given = {name.replace("-", "_"): value for name, value in given.items() if value is not None}
    if args.executor == "slurm":
        from wrs_mm.bench.executors.slurm import SlurmExecutor

        if args.gpus_per_run and "gpus_per_node" not in given:
            nodes = given.get("nodes", 1)
            if args.gpus_per_run % nodes:
                raise OptionError(f"--gpus-per-run {args.gpus_per_run} does not divide by {nodes} nodes")
            given["gpus_per_node"] = args.gpus_per_run // nodes
        return SlurmExecutor(given, dict(args.slurm_option), jobs=args.jobs)
    if given or args.slurm_option:
        name = next(iter(given), "option").replace("_", "-")
        raise OptionError(f"--slurm-{name} is for --executor slurm; add that, or leave it out")

    from wrs_mm.bench.executors.local import LocalExecutor, find_gpus

    gpus = find_gpus()
    if args.gpus_per_run and not gpus:
        raise OptionError("--gpus-per-run: PyTorch sees no GPU here; use --jobs N for runs on the CPU")
    return LocalExecutor(args.jobs, args.gpus_per_run or 1, gpus)
