"""What the scripts say of wrong calls, and how torchrun.py ends."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from commands import run

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"

SCRIPTS = {
    "dist_train.sh": ["CONFIG", "2"],
    "dist_test.sh": ["CONFIG", "CHECKPOINT", "2"],
    "slurm_train.sh": ["main", "job", "CONFIG"],
    "slurm_test.sh": ["main", "job", "CONFIG", "CHECKPOINT"],
}
"""Each script's arguments; those in capitals are files."""


def call(script: Path, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return subprocess.run(
        [script, *arguments],
        cwd=cwd,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with the files that the scripts are given, a space in its name."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name in ("CONFIG", "CHECKPOINT"):
        (folder / name).touch()
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The scripts without a .venv beside them, and programs on PATH that only print their arguments."""
    shutil.copytree(TOOLS, tmp_path / "another checkout" / "tools")
    (tmp_path / "bin").mkdir()
    for name in ("python", "srun"):
        program = tmp_path / "bin" / name
        program.write_text(f'#!/bin/sh\necho {name}\nprintf "%s\\n" "$@"\necho "$PYTHONPATH"\n')
        program.chmod(0o755)
    return tmp_path / "another checkout" / "tools"


def mistake(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a call with status 2 has printed."""
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert done.stdout == ""
    return line


@pytest.mark.parametrize("script", SCRIPTS)
def test_too_few_arguments_are_answered_with_the_usage(script: str, files: Path) -> None:
    line = mistake(call(TOOLS / script, *SCRIPTS[script][:-1], cwd=files))
    assert line.startswith(f"{script}: error: usage: {script} ")


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_the_head_of_the_script(script: str, files: Path) -> None:
    done = call(TOOLS / script, "--help", cwd=files)
    assert done.returncode == 0
    assert f"Usage: {script} " in done.stdout
    assert "set -e" not in done.stdout


@pytest.mark.parametrize(
    ("script", "missing"),
    [(script, name) for script in SCRIPTS for name in SCRIPTS[script] if name.isupper()],
)
def test_a_missing_file_is_named(script: str, missing: str, files: Path) -> None:
    (files / missing).unlink()
    line = mistake(call(TOOLS / script, *SCRIPTS[script], cwd=files))
    assert f"{missing.lower()} {missing} does not exist" in line


@pytest.mark.parametrize(
    ("name", "values", "others"),
    [
        ("NNODES", ["two", "0"], {}),
        ("NODE_RANK", ["-1", "2"], {"NNODES": "2"}),
        ("PORT", ["0", "65536", "999999999999999999999"], {}),
    ],
)
def test_a_variable_that_is_not_such_a_number_is_named(
    name: str, values: list[str], others: dict[str, str], files: Path
) -> None:
    for value in values:
        done = call(TOOLS / "dist_train.sh", "CONFIG", "1", cwd=files, **{name: value, **others})
        assert f"{name} is {value}; it must be a whole number from" in mistake(done)


@pytest.mark.parametrize("value", ["two", "0", "-1", "1.5", ""])
def test_gpus_is_a_number(value: str, files: Path, copy: Path) -> None:
    line = mistake(call(TOOLS / "dist_train.sh", "CONFIG", value, cwd=files))
    assert f"GPUS is {value or 'empty'};" in line
    path = f"{copy.parents[1] / 'bin'}:{os.environ['PATH']}"
    if value:
        line = mistake(
            call(TOOLS / "slurm_train.sh", "main", "job", "CONFIG", cwd=files, GPUS=value, PATH=path)
        )
        assert f"GPUS is {value};" in line


def test_without_slurm_the_other_script_is_named(files: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for program in ("bash", "env", "dirname", "sed"):
        (tmp_path / "bin" / program).symlink_to(shutil.which(program))
    line = mistake(
        call(TOOLS / "slurm_train.sh", "main", "job", "CONFIG", cwd=files, PATH=str(tmp_path / "bin"))
    )
    assert "dist_train.sh" in line


@pytest.mark.parametrize(
    "name", ["mini/fcn_r18-narrow_mini-cityscapes", "configs/coco/fcos_r50_fpn_syncbn_1x_coco.py"]
)
def test_a_recipe_may_be_named_and_a_checkpoint_may_not(name: str, files: Path, copy: Path) -> None:
    shutil.copytree(ROOT / "configs", copy.parent / "configs")
    path = f"{copy.parents[1] / 'bin'}:{os.environ['PATH']}"
    done = call(copy / "dist_test.sh", name, "CHECKPOINT", "2", cwd=files, PATH=path)
    assert name in done.stdout.splitlines()
    assert "does not exist" in mistake(call(copy / "dist_test.sh", "CONFIG", name, "2", cwd=files, PATH=path))
    assert "does not exist" in mistake(call(copy / "dist_test.sh", f"{name}x", "CHECKPOINT", "2", cwd=files))


def test_scripts_of_a_wheel_take_the_python_of_their_environment(
    files: Path, copy: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "an env"
    tools = environment / "lib" / "python3.11" / "site-packages" / "wrs_mm" / ".mim" / "tools"
    shutil.copytree(TOOLS, tools)
    (environment / "bin").mkdir()
    own = environment / "bin" / "python"
    own.write_text('#!/bin/sh\necho "own, ${PYTHONPATH-no path}"\n')
    own.chmod(0o755)
    path = f"{copy.parents[1] / 'bin'}:{os.environ['PATH']}"
    assert call(tools / "dist_train.sh", "CONFIG", "2", cwd=files, PATH=path).stdout == "own, no path\n"
    # Where there is none, as in a folder of --target, the one on the path.
    own.unlink()
    done = call(tools / "dist_train.sh", "CONFIG", "2", cwd=files, PATH=path)
    assert done.stdout.startswith("python\n")


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_further_argument_is_passed_on_as_it_is(script: str, files: Path, copy: Path) -> None:
    further = ["--work-dir", "a b", "--cfg-options", "x=[1, 2]", "y='*'"]
    path = f"{copy.parents[1] / 'bin'}:{os.environ['PATH']}"
    done = call(copy / script, *SCRIPTS[script], *further, cwd=files, PATH=path)
    assert done.returncode == 0, done.stderr
    *printed, pythonpath = done.stdout.splitlines()
    assert printed[-len(further) :] == further
    # No .venv there: the Python of the environment, and this checkout's package.
    assert "python" in printed
    assert Path(pythonpath).resolve() == copy.parent.resolve()
    (program,) = (Path(name) for name in printed if name.endswith(("train.py", "test.py")))
    assert program.resolve() == (copy / f"{script.rpartition('_')[2].removesuffix('.sh')}.py").resolve()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ["--standalone"]),
        (
            {"PORT": "29511"},
            ["--nnodes=1", "--node-rank=0", "--master-addr=127.0.0.1", "--master-port=29511"],
        ),
        (
            {"NNODES": "2", "NODE_RANK": "1", "MASTER_ADDR": "node-0"},
            ["--nnodes=2", "--node-rank=1", "--master-addr=node-0", "--master-port=29500"],
        ),
    ],
)
def test_torchrun_is_told_where_the_processes_meet(
    environment: dict[str, str], expected: list[str], files: Path, copy: Path
) -> None:
    path = f"{copy.parents[1] / 'bin'}:{os.environ['PATH']}"
    done = call(copy / "dist_train.sh", "mmdet::x.py", "3", cwd=files, PATH=path, **environment)
    printed = done.stdout.splitlines()[2:]
    assert printed[: len(expected) + 1] == [*expected, "--nproc-per-node=3"]


def test_srun_is_told_what_openmmlabs_variables_say(files: Path, copy: Path) -> None:
    path = f"{copy.parents[1] / 'bin'}:{os.environ['PATH']}"
    environment = {"GPUS": "16", "CPUS_PER_TASK": "3", "SRUN_ARGS": "--gres=none --time=5"}
    done = call(
        copy / "slurm_train.sh",
        "gpu",
        "my job",
        "CONFIG",
        "out dir",
        "--amp",
        cwd=files,
        PATH=path,
        **environment,
    )
    line = " ".join(done.stdout.splitlines())
    assert "--partition=gpu --job-name=my job --gres=gpu:8 --ntasks=16 --ntasks-per-node=8" in line
    assert "--cpus-per-task=3 --kill-on-bad-exit=1 --gres=none --time=5 python -u" in line
    assert "CONFIG --launcher slurm --work-dir out dir --amp" in line
    done = call(copy / "slurm_train.sh", "gpu", "job", "CONFIG", "--amp", cwd=files, PATH=path, GPUS="2")
    line = " ".join(done.stdout.splitlines())
    assert "--gres=gpu:2 --ntasks=2 --ntasks-per-node=2 --cpus-per-task=5" in line
    assert "CONFIG --launcher slurm --amp" in line


# --- torchrun.py ---------------------------------------------------------------------------------


def test_a_port_in_use_is_said_before_anything_starts(files: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = mistake(call(TOOLS / "dist_train.sh", "CONFIG", "1", cwd=files, PORT=port))
    assert f"port {port} is in use" in line


@pytest.mark.dist
@pytest.mark.parametrize(
    ("ending", "status", "said"),
    [
        ("sys.exit(3)", 3, r"process 1 ended with status 3"),
        ("os.kill(os.getpid(), 9)", 137, r"process 1 was killed by SIGKILL"),
        ("sys.exit(2)", 2, None),
    ],
)
def test_the_status_of_the_first_process_that_failed_is_passed_on(
    ending: str, status: int, said: str | None, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import os, sys, time\nif os.environ['RANK'] == '1':\n    {ending}\ntime.sleep(3600)\n"
    )
    command = [sys.executable, TOOLS / "torchrun.py", "--standalone", "--nproc-per-node=2", script]
    done = run(command, cwd=tmp_path)
    assert done.returncode == status
    if said is None:
        assert done.stderr == ""
    else:
        (line,) = done.stderr.splitlines()
        assert re.search(said, line)
