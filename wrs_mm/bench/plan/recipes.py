"""Where the config of a recipe is, by the name that a plan gives it."""

from __future__ import annotations

from pathlib import Path

import wrs_mm
from wrs_mm.errors import ConfigError, PlanError
from wrs_mm.openmmlab.configs import config_path
from wrs_mm.values import did_you_mean

CONFIGS = Path(wrs_mm.__file__).resolve().parent.parent / "configs"
"""The recipes of the checkout."""


def find_recipe(recipe: str, folder: Path) -> str:
    """Find the config of a recipe.

    Args:
        recipe: A name under ``configs/``, a path relative to ``folder``, ``mmdet::…`` or
            ``mmseg::…``; the ending ``.py`` may be left out.
        folder: Where relative paths start: the plan's folder.

    Returns:
        The config's path.

    Raises:
        PlanError: There is no such config.
    """
    if "::" in recipe:
        try:
            return str(config_path(recipe))
        except ConfigError as error:
            raise PlanError(f"recipe {recipe!r}: {error}") from None
    file = recipe if recipe.endswith((".json", ".yaml", ".yml")) else recipe.removesuffix(".py") + ".py"
    for root in (folder, CONFIGS):
        if (root / file).is_file():
            return str(root / file)
    known = [
        config.relative_to(CONFIGS).with_suffix("").as_posix()
        for config in CONFIGS.glob("*/*.py")
        if config.parent.name != "_base_"
    ]
    hint = did_you_mean(recipe.removesuffix(".py"), known, cutoff=0.5)
    raise PlanError(f"recipe {recipe!r} is neither a config under configs/ nor a path beside the plan{hint}")
