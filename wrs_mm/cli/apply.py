"""``wrs-mm apply``: a config with a regularizer, as a file to keep, and what it changes."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from wrs_mm import regularizers
from wrs_mm.bench.plan.differences import MISSING, config_values, differing
from wrs_mm.cli.train import add_config_argument, add_options_argument
from wrs_mm.errors import ConfigError, OptionError
from wrs_mm.files import write_text
from wrs_mm.openmmlab.carried import inheritable
from wrs_mm.openmmlab.configs import config_path, load_config
from wrs_mm.regularizers.overlay import as_arguments, base_from, child, heading, is_new_style
from wrs_mm.values import several

if TYPE_CHECKING:
    from mmengine.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``wrs-mm apply``."""
    add_config_argument(parser)
    parser.add_argument("--regularizer", required=True, help=f"one of {', '.join(regularizers.names())}")
    add_options_argument(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="NEW.py", help="the config to write")
    parser.add_argument("--force", action="store_true", help="overwrite NEW.py if it exists")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        ConfigError: The config cannot be read.
        OptionError: The regularizer does not go with it, or the file is not to be written.
    """
    out, options = args.out, args.options or {}
    source = config_path(args.config)
    _check_out(out, source, args.force)
    config = load_config(args.config)
    arm = regularizers.apply_regularizer(config, args.regularizer, **options)
    command = (
        f"wrs-mm apply {shlex.quote(args.config)} --regularizer {args.regularizer}{as_arguments(options)} "
        f"--out {shlex.quote(str(out))}"
    )
    text, whole = heading(args.regularizer, command), ""
    if is_new_style(config):
        whole = "the whole config, because nothing can inherit from one in mmengine's new style and change it"
        text += f"# This is {whole}.\n{arm.pretty_text.rstrip()}\n"
    else:
        text += child(config, arm, base_from(out.parent, inheritable(args.config)))
    try:
        if not _reads_as(arm, text, out):
            what = "holds values that a config's file cannot say, such as inf"
            raise ConfigError(f"config {args.config} {what}")
        write_text(out, text)
    except OSError as error:
        raise OptionError(f"--out {out} cannot be written ({error.strerror}); name another place") from error
    _print_changes(config, arm)
    Console(soft_wrap=True, highlight=False, markup=False).print(f"Wrote {out}{whole and f', {whole}'}.")
    return 0


def _check_out(out: Path, source: Path, force: bool) -> None:
    """Refuse a place that nothing should be written to, before anything is read."""
    if out.suffix != ".py":
        raise OptionError(f"--out {out}: a config's file ends in .py")
    if not out.parent.is_dir():
        raise OptionError(f"--out {out}: there is no folder {out.parent}")
    if out.exists() and out.samefile(source):
        raise OptionError(f"--out {out} is the config itself, which it would inherit from: take another name")
    if out.is_dir() or (out.exists() and not force):
        raise OptionError(f"--out {out} exists: take another name, or overwrite it with --force")


def _reads_as(arm: Config, text: str, out: Path) -> bool:
    """Whether a config's text is the arm, when it is read where it is to be."""
    trial = out.with_name(f".{out.stem}.{os.getpid()}.trial.py")
    try:
        write_text(trial, text)
        read = load_config(trial).to_dict()
    except ConfigError:
        return False
    finally:
        trial.unlink(missing_ok=True)
    # A child inherits what the recipe says of its arms, and nobody reads it there.
    read.pop(regularizers.RECIPE_KEY, None)
    return bool(_without_scope(read) == _without_scope(arm.to_dict()))


def _without_scope(node: Any) -> Any:
    """A config's content without the ``_scope_`` that mmengine adds to what is of another package."""
    if isinstance(node, Mapping):
        return {key: _without_scope(value) for key, value in node.items() if key != "_scope_"}
    if isinstance(node, (list, tuple)):
        return type(node)(_without_scope(value) for value in node)
    return node


def _print_changes(config: Config, arm: Config) -> None:
    """Print each key that differs, its value before and after."""
    changes = differing([config_values(config.to_dict()), config_values(arm.to_dict())])
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(
        f"{several(len(changes), 'key')} of the config {'changes' if len(changes) == 1 else 'change'}:"
    )
    for key, values in changes.items():
        before, after = (value if value is MISSING else repr(value) for value in values)
        console.print(f"  {key}: {before} → {after}")
