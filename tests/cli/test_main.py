"""The command line: dispatch, one-line mistakes, exit statuses."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

import wrs_mm
from wrs_mm.cli import main
from wrs_mm.errors import ConfigError


def _command(run) -> main.Command:
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--number", type=int)

    return main.Command("a test", add_arguments, run)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "wrs-mm: error: the following arguments are required: COMMAND"),
        (["trian"], "wrs-mm: error: argument COMMAND: invalid choice: 'trian'"),
        (["data", "micro"], "wrs-mm data: error: argument dataset: invalid choice: 'micro'"),
        (["bench"], "wrs-mm bench: error: the following arguments are required: ACTION"),
        (["bench", "run", "plan.yaml"], "wrs-mm bench run: error: the following arguments"),
        (
            ["bench", "run", "plan.yaml", "--work-dir", "d", "--jobs", "0"],
            "wrs-mm bench run: error: argument --jobs: '0' is not a whole number of at least 1",
        ),
        (
            ["bench", "run", "nowhere.yaml", "--work-dir", "d"],
            "wrs-mm bench: error: nowhere.yaml: cannot be read",
        ),
        (["bench", "status", "nowhere"], "wrs-mm bench: error: nowhere is not the work dir"),
        (["bench", "report", "nowhere"], "wrs-mm bench: error: nowhere is not the work dir"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_status_2(arguments, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(expected)
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_usage_error_of_many_lines_is_printed_as_one(monkeypatch, capsys):
    def run(args: argparse.Namespace) -> int:
        raise ConfigError("no such\n  config")

    monkeypatch.setitem(main.COMMANDS, "train", _command(run))
    assert main.main(["train"]) == 2
    assert capsys.readouterr().err == "wrs-mm train: error: no such config\n"


def test_a_defect_keeps_its_traceback(monkeypatch):
    def run(args: argparse.Namespace) -> int:
        raise RuntimeError("a defect")

    monkeypatch.setitem(main.COMMANDS, "train", _command(run))
    with pytest.raises(RuntimeError, match="a defect"):
        main.main(["train"])


def test_a_command_gets_its_own_arguments_and_its_status_is_the_program_s(monkeypatch):
    seen = {}

    def run(args: argparse.Namespace) -> int:
        seen.update(vars(args))
        return 7

    monkeypatch.setitem(main.COMMANDS, "train", _command(run))
    assert main.main(["train", "--number", "3"]) == 7
    assert seen == {"number": 3}


def test_ctrl_c_ends_with_status_130(monkeypatch):
    def run(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(main.COMMANDS, "train", _command(run))
    assert main.main(["train"]) == 130


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: wrs-mm {command}" in capsys.readouterr().out


def test_the_module_is_the_program_and_needs_neither_toolbox_to_say_its_version():
    code = (
        "import sys\n"
        "from wrs_mm.cli import main\n"
        "try:\n    main.main(['--version'])\n"
        "finally:\n    print(sorted({'mmdet', 'mmseg'} & sys.modules.keys()))\n"
    )
    checked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert checked.stdout == f"wrs-mm {wrs_mm.__version__}\n[]\n"
    ran = subprocess.run([sys.executable, "-m", "wrs_mm.cli", "--version"], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, f"wrs-mm {wrs_mm.__version__}\n")
