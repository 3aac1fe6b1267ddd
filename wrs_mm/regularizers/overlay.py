"""An arm of a recipe as an overlay: a config that inherits from the recipe and says only what differs.

It is for tools that take a config file and no ``--arm``, and for other projects to inherit from. Its place is
beside the recipe, as ``<recipe>_<arm>.py``; it says what :func:`wrs_mm.regularizers.apply_regularizer` makes,
and is written anew when that changes.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from wrs_mm.errors import OptionError
from wrs_mm.regularizers import apply_regularizer, find


def overlay(cfg: Config, name: str, source: str | Path) -> str:
    """The overlay of an arm, as the text of a config file beside the recipe.

    Args:
        cfg: The recipe.
        name: The regularizer.
        source: Where the recipe was read from: a file, or its name in a toolbox (``mmdet::…``).

    Raises:
        OptionError: As :func:`wrs_mm.regularizers.apply_regularizer`, or nothing can inherit from the recipe.
    """
    if cfg.filename and Config._is_lazy_import(cfg.filename):
        raise OptionError(
            f"{source} is in mmengine's new style, from which no overlay inherits; take the whole arm, as "
            f"wrs-mm config {source} --arm {name} prints it"
        )
    arm = apply_regularizer(cfg, name)
    file = Path(source).name if "::" not in str(source) else f"{str(source).removesuffix('.py')}.py"
    before, after = cfg.to_dict(), arm.to_dict()
    # The recipe's own options for its arms go with nothing else; a child need not take them out.
    changes = _change({key: value for key, value in before.items() if key in after}, after)
    return (
        f"# {inspect.cleandoc(find(name).__doc__ or name).splitlines()[0]}\n"
        f"# Written by `wrs-mm config {file} --arm {name} --overlay`.\n"
        f"_base_ = {file if '::' in file else f'./{file}'!r}\n"
        f"{Config(changes).pretty_text if changes else ''}"
    )


def _change(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What a config that inherits ``before`` has to say to be ``after``."""
    if before.keys() - after.keys():
        return {"_delete_": True, **after}
    return {
        key: _change(before[key], value)
        if isinstance(value, Mapping) and isinstance(before.get(key), Mapping)
        else value
        for key, value in after.items()
        if key not in before or before[key] != value
    }
