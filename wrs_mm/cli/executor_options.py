"""The arguments of ``wrs-mm bench run`` that say where runs go."""

from __future__ import annotations

import argparse

from wrs_mm.bench.executors.options import ExecutorOptions
from wrs_mm.cli.argument_types import at_least_one, name_and_value

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


def add_executor_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that :func:`executor_options` reads."""
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
        type=name_and_value,
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="any other option of sbatch, such as nice=100 or exclusive; may be repeated",
    )


def executor_options(args: argparse.Namespace) -> ExecutorOptions:
    """What the arguments ask for."""
    names = [name.replace("-", "_") for name in _SLURM]
    given = {name: getattr(args, f"slurm_{name}") for name in names}
    return ExecutorOptions(
        executor=args.executor,
        jobs=args.jobs,
        gpus_per_run=args.gpus_per_run,
        slurm={name: value for name, value in given.items() if value is not None},
        slurm_options=dict(args.slurm_option),
    )
