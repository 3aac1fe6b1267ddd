"""Where the config of a recipe is, by the name that a plan gives it, and where a plan is."""

from __future__ import annotations

from pathlib import Path

from wrs_mm.errors import ConfigError, PlanError
from wrs_mm.openmmlab.carried import carried, carried_recipes, find_carried
from wrs_mm.openmmlab.configs import config_path
from wrs_mm.values import did_you_mean

CONFIGS = carried("configs")
"""The recipes that the package carries; ``benchmarks`` in it has the plans."""


def find_recipe(recipe: str, folder: Path) -> str:
    """Find the config of a recipe.

    Args:
        recipe: A name under ``configs/``, a path relative to ``folder``, ``mmdet::…``, ``mmseg::…`` or
            ``wrs_mm::…``; the ending ``.py`` may be left out.
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
    if (folder / file).is_file():
        return str(folder / file)
    if ours := find_carried(recipe, ".py"):
        return str(ours)
    hint = did_you_mean(recipe.removesuffix(".py"), carried_recipes(), cutoff=0.5)
    raise PlanError(f"recipe {recipe!r} is neither a config under configs/ nor a path beside the plan{hint}")


def find_plan(plan: str | Path) -> Path:
    """Find a plan.

    Args:
        plan: A path, or a name under ``configs/benchmarks``; ``benchmarks/`` before it and its ending may be
            left out of the name.

    Raises:
        PlanError: There is no such plan.
    """
    path = Path(plan)
    if path.is_file():
        return path
    if ours := find_carried(path, ".yaml") or find_carried(Path("benchmarks", path), ".yaml"):
        return ours
    if path.exists():
        return path  # whoever reads it says what is wrong with it
    hint = did_you_mean(path.stem, (known.stem for known in (CONFIGS / "benchmarks").glob("*.yaml")))
    raise PlanError(f"{path}: cannot be read; there is no such file, and no plan of that name{hint}")
