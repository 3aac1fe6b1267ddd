"""From the command line to what is asked of an executor (executor_options.py, argument_types.py)."""

from __future__ import annotations

import argparse

import pytest

from wrs_mm.bench.executors.options import ExecutorOptions
from wrs_mm.cli.executor_options import add_executor_arguments, executor_options


def parse(*arguments: str) -> ExecutorOptions:
    parser = argparse.ArgumentParser()
    add_executor_arguments(parser)
    return executor_options(parser.parse_args(arguments))


def test_who_asks_for_nothing_gets_the_defaults():
    assert parse() == ExecutorOptions()


def test_each_option_has_its_place():
    assert parse(
        "--executor", "slurm", "--jobs", "3", "--gpus-per-run", "2", "--slurm-cpus-per-task", "4"
    ) == (ExecutorOptions("slurm", jobs=3, gpus_per_run=2, slurm={"cpus_per_task": 4}))


def test_any_option_of_sbatch_can_be_given(capsys):
    given = parse("--slurm-option", "nice=100", "--slurm-option=--exclusive", "--slurm-mem", "8GB")
    assert given.slurm_options == {"nice": "100", "exclusive": True}
    assert given.slurm == {"mem": "8GB"}
    with pytest.raises(SystemExit):
        parse("--slurm-nodes", "0")
    assert "'0' is not a whole number of at least 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse("--slurm-option", "=3")
    assert "'=3' is neither NAME nor NAME=VALUE" in capsys.readouterr().err
