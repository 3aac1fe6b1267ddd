"""The command line: dispatch, one-line mistakes, exit statuses. Each command's own tests are beside this."""

from __future__ import annotations

import argparse
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

import wrs_mm
from wrs_mm.cli import main
from wrs_mm.errors import EXIT_INTERRUPTED, ConfigError


@pytest.fixture
def command(monkeypatch):
    """Put a module of a few lines in the place of ``wrs-mm train``."""

    def replace(run: Any) -> None:
        def add_arguments(parser: argparse.ArgumentParser) -> None:
            parser.add_argument("--number", type=int)

        monkeypatch.setitem(sys.modules, "a_command", SimpleNamespace(add_arguments=add_arguments, run=run))
        monkeypatch.setitem(main.COMMANDS, "train", main.Command("a_command", "a test"))

    return replace


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "wrs-mm: error: the following arguments are required: COMMAND"),
        (["trian"], "wrs-mm: error: argument COMMAND: invalid choice: 'trian'"),
        (["data", "micro"], "wrs-mm data: error: argument ACTION: invalid choice: 'micro'"),
        (["data", "make", "micro"], "wrs-mm data make: error: argument dataset: invalid choice: 'micro'"),
        (["bench"], "wrs-mm bench: error: the following arguments are required: ACTION"),
        (["bench", "run", "plan.yaml"], "wrs-mm bench run: error: the following arguments"),
        (
            ["bench", "run", "plan.yaml", "--work-dir", "d", "--jobs", "0"],
            "wrs-mm bench run: error: argument --jobs: '0' is not a whole number of at least 1",
        ),
        (
            ["bench", "run", "nowhere.yaml", "--work-dir", "d"],
            "wrs-mm bench run: error: nowhere.yaml: cannot be read",
        ),
        (["bench", "status", "nowhere"], "wrs-mm bench status: error: nowhere is not the work dir"),
        (["bench", "report", "nowhere"], "wrs-mm bench report: error: nowhere is not the work dir"),
        (["test", "nowhere.py", "nothing.pth"], "wrs-mm test: error: config nowhere.py does not exist"),
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


@pytest.mark.parametrize(
    ("arguments", "program", "meant"),
    [
        (["bench", "run", "plan.yaml", "--work-dir", "d", "--job", "2"], "wrs-mm bench run", "--jobs"),
        (["bench", "run", "plan.yaml", "--work-dir", "d", "--job=2"], "wrs-mm bench run", "--jobs"),
        (["bench", "status", "d", "--onc"], "wrs-mm bench status", "--once"),
        (["train", "c.py", "--auto-scale"], "wrs-mm train", "--auto-scale-lr"),
        (["audit", "c.py", "--verif"], "wrs-mm audit", "--verify"),
        (["data", "check", "coco", ".", "--any"], "wrs-mm data check", "--any-size"),
        (["rescale-checkpoint", "a", "b", "c", "--forc"], "wrs-mm rescale-checkpoint", "--force"),
    ],
)
def test_an_abbreviated_option_is_refused_with_the_one_that_it_may_mean(arguments, program, meant, capsys):
    assert main.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"{program}: error: unrecognized arguments: --")
    assert f"; did you mean {meant}? (see {program} --help)" in error
    assert error.count("\n") == 1


def test_no_command_takes_an_abbreviation(capsys):
    def parsers(parser: argparse.ArgumentParser):
        yield parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for inner in action.choices.values():
                    yield from parsers(inner)

    for command in main.COMMANDS:
        assert not any(parser.allow_abbrev for parser in parsers(main.build_parser(command)))


def test_an_unknown_option_that_resembles_none_is_refused_too(capsys):
    assert main.main(["audit", "c.py", "--frobnicate"]) == 2
    assert capsys.readouterr().err == (
        "wrs-mm audit: error: unrecognized arguments: --frobnicate (see wrs-mm audit --help)\n"
    )


@pytest.mark.parametrize(("old", "new"), main.RENAMED.items())
def test_an_old_name_goes_on_working_with_a_notice(old, new, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main([*old, "--help"])
    assert ended.value.code == 0
    captured = capsys.readouterr()
    assert captured.err == f"`wrs-mm {' '.join(old)}` is now `wrs-mm {' '.join(new)}`\n"
    words = new[:2] if new[0] in ("data", "bench") else new[:1]
    assert f"usage: wrs-mm {' '.join(words)}" in captured.out


def test_a_name_of_today_comes_without_a_notice(capsys):
    for new in main.RENAMED.values():
        with pytest.raises(SystemExit):
            main.main([*new, "--help"])
    assert capsys.readouterr().err == ""


def test_a_usage_error_of_many_lines_is_printed_as_one(command, capsys):
    def run(args: argparse.Namespace) -> int:
        raise ConfigError("no such\n  config")

    command(run)
    assert main.main(["train"]) == 2
    assert capsys.readouterr().err == "wrs-mm train: error: no such config\n"


def test_a_defect_keeps_its_traceback(command):
    def run(args: argparse.Namespace) -> int:
        raise RuntimeError("a defect")

    command(run)
    with pytest.raises(RuntimeError, match="a defect"):
        main.main(["train"])


def test_a_command_gets_its_own_arguments_and_its_status_is_the_program_s(command):
    seen = {}

    def run(args: argparse.Namespace) -> int:
        seen.update(vars(args))
        return 7

    command(run)
    assert main.main(["train", "--number", "3"]) == 7
    assert seen == {"number": 3}


def test_ctrl_c_ends_with_status_130(command):
    def run(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    command(run)
    assert main.main(["train"]) == EXIT_INTERRUPTED == 130


def test_ctrl_c_while_an_extension_module_loads_ends_with_status_130(command):
    """Pybind11 makes an ImportError of it: «initialization failed», from KeyboardInterrupt."""

    def interrupted(args: argparse.Namespace) -> int:
        raise ImportError("initialization failed") from KeyboardInterrupt()

    command(interrupted)
    assert main.main(["train"]) == EXIT_INTERRUPTED

    def broken(args: argparse.Namespace) -> int:
        raise ImportError("initialization failed") from OSError("libfoo.so: cannot open shared object file")

    command(broken)
    with pytest.raises(ImportError, match="initialization failed"):
        main.main(["train"])


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: wrs-mm {command}" in capsys.readouterr().out


def test_the_module_is_the_program_and_imports_no_command_to_say_its_version():
    code = (
        "import sys\n"
        "from wrs_mm.cli import main\n"
        "try:\n    main.main(['--version'])\n"
        "finally:\n"
        "    print(sorted({'mmdet', 'mmseg', 'pandas'} & sys.modules.keys()))\n"
        "    print([c.module for c in main.COMMANDS.values() if c.module in sys.modules])\n"
    )
    checked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert checked.stdout == f"wrs-mm {wrs_mm.__version__}\n[]\n[]\n"
    ran = subprocess.run([sys.executable, "-m", "wrs_mm.cli", "--version"], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, f"wrs-mm {wrs_mm.__version__}\n")
