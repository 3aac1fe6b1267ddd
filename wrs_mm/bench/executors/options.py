"""Where runs shall go, and the executor that this asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from wrs_mm.errors import OptionError

if TYPE_CHECKING:
    from wrs_mm.bench.executors import Executor


@dataclass(frozen=True)
class ExecutorOptions:
    """Where runs shall go, and how many of them at once.

    Attributes:
        executor: This machine, or one Slurm job a run.
        jobs: Runs at once; None: as many as the GPUs allow, without a GPU 2, on a single core 1, under
            Slurm all.
        gpus_per_run: GPUs that train one run; None: 1, and under Slurm what ``slurm`` says.
        slurm: Options of sbatch by submitit's names: ``partition``, ``time`` (minutes), ``nodes``,
            ``tasks_per_node``, ``gpus_per_node``, ``cpus_per_task``, ``mem``, …
        slurm_options: Other options of sbatch; True for one without a value.
    """

    executor: Literal["local", "slurm"] = "local"
    jobs: int | None = None
    gpus_per_run: int | None = None
    slurm: Mapping[str, int | str] = field(default_factory=dict)
    slurm_options: Mapping[str, str | bool] = field(default_factory=dict)


def make_executor(options: ExecutorOptions) -> Executor:
    """The executor that the options ask for.

    Raises:
        OptionError: Options contradict each other or this machine.
    """
    return _on_slurm(options) if options.executor == "slurm" else _on_this_machine(options)


def _on_slurm(options: ExecutorOptions) -> Executor:
    from wrs_mm.bench.executors.slurm import SlurmExecutor

    parameters = dict(options.slurm)
    if options.gpus_per_run and "gpus_per_node" not in parameters:
        nodes = int(parameters.get("nodes", 1))
        if options.gpus_per_run % nodes:
            raise OptionError(f"--gpus-per-run {options.gpus_per_run} does not divide by {nodes} nodes")
        parameters["gpus_per_node"] = options.gpus_per_run // nodes
    return SlurmExecutor(parameters, options.slurm_options, jobs=options.jobs)


def _on_this_machine(options: ExecutorOptions) -> Executor:
    from wrs_mm.bench.executors.local import LocalExecutor, find_gpus

    if options.slurm or options.slurm_options:
        name = next(iter(options.slurm), "option").replace("_", "-")
        raise OptionError(f"--slurm-{name} is for --executor slurm; add that, or leave it out")
    gpus = find_gpus()
    if options.gpus_per_run and not gpus:
        raise OptionError("--gpus-per-run: PyTorch sees no GPU here; use --jobs N for runs on the CPU")
    return LocalExecutor(options.jobs, options.gpus_per_run or 1, gpus)
