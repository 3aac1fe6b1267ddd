"""An arm of a recipe as an overlay: a config that inherits from the recipe and says only what differs.

It is for tools that take a config file and no ``--arm``, and for other projects to inherit from. It says what
:func:`wrs_mm.regularizers.apply_regularizer` makes, and is written anew when that changes.
"""

from __future__ import annotations

import inspect
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from wrs_mm.errors import OptionError
from wrs_mm.regularizers import apply_regularizer, find


def overlay(cfg: Config, name: str, source: str | Path, options: Mapping[str, Any] | None = None) -> str:
    """The overlay of an arm, as the text of a config file beside the recipe: ``<recipe>_<arm>.py``.

    Args:
        cfg: The recipe.
        name: The regularizer.
        source: Where the recipe was read from: a file, or its name in a toolbox (``mmdet::…``).
        options: The regularizer's options.

    Raises:
        OptionError: As :func:`wrs_mm.regularizers.apply_regularizer`, or nothing can inherit from the recipe.
    """
    options = options or {}
    if is_new_style(cfg):
        raise OptionError(
            f"{source} is in mmengine's new style, from which no overlay inherits; take the whole arm, as "
            f"wrs-mm config {source} --arm {name} prints it"
        )
    file = _with_ending(source) if "::" in str(source) else Path(source).name
    command = f"wrs-mm config {file} --arm {name}{as_arguments(options)} --overlay"
    arm = apply_regularizer(cfg, name, **options)
    base = file if "::" in file else f"./{file}"
    return heading(name, command) + child(cfg, arm, base)


def child(cfg: Config, arm: Config, base: str) -> str:
    """The text of a config that inherits from a recipe and is an arm of it.

    Args:
        cfg: The recipe.
        arm: The arm.
        base: What the child calls the recipe by.
    """
    before, after = cfg.to_dict(), arm.to_dict()
    # The recipe's own options for its arms go with nothing else; a child need not take them out.
    changes = _change({key: value for key, value in before.items() if key in after}, after)
    return f"_base_ = {base!r}\n{Config(changes).pretty_text if changes else ''}"


def base_from(folder: Path, source: str | Path) -> str:
    """What a config in a folder names as its base for the config that ``source`` is here.

    Args:
        folder: The folder.
        source: A file, which is named relative to the folder where there is a way to it; or ``mmdet::…``.
    """
    if "::" in str(source):
        return _with_ending(source)
    try:
        # Not resolved: mmengine takes a base's path as it is written, symbolic links and all.
        way = Path(os.path.relpath(source, folder)).as_posix()
    except ValueError:  # another drive
        return Path(os.path.abspath(source)).as_posix()
    return way if way.startswith("../") else f"./{way}"


def heading(name: str, command: str) -> str:
    """The first lines of a written arm: what it is, and the command that writes it.

    Args:
        name: The regularizer.
        command: The command.
    """
    return f"# {inspect.cleandoc(find(name).__doc__ or name).splitlines()[0]}\n# Written by `{command}`.\n"


def as_arguments(options: Mapping[str, Any]) -> str:
    """Options of a regularizer as a command takes them; nothing where there are none."""
    said = (f"{key}={value}".replace(", ", ",") for key, value in options.items())
    return f" --options {shlex.join(said)}" if options else ""


def is_new_style(cfg: Config) -> bool:
    """Whether a config is in mmengine's new style, of Python imports."""
    return bool(cfg.filename and Config._is_lazy_import(cfg.filename))


def _with_ending(source: str | Path) -> str:
    return f"{str(source).removesuffix('.py')}.py"


def _change(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What a config that inherits ``before`` has to say to be ``after``."""
    if before.keys() - after.keys():
        return {"_delete_": True, **after}
    changes: dict[str, Any] = {}
    for key, value in after.items():
        if key in before and before[key] == value:
            continue
        if isinstance(value, Mapping) and isinstance(before.get(key), Mapping):
            changes[key] = _change(before[key], value)
        elif isinstance(value, Mapping) and key in before:
            # mmengine adds to no None, and to no list.
            changes[key] = {"_delete_": True, **value}
        else:
            changes[key] = value
    return changes
