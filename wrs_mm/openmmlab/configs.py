"""Read a config of mmdet, mmseg or a third party, and say in one line why one cannot be read."""

from __future__ import annotations

import copy
import functools
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.carried import SCOPE, carried, carried_recipes, find_carried
from wrs_mm.openmmlab.optional_packages import causes, missing_package
from wrs_mm.values import did_you_mean, error_line

if TYPE_CHECKING:
    from mmengine.config import Config


_TOOLBOXES = ("mmpretrain",)
"""Packages with configs that go with wrs_mm, and that nobody has to install."""


def load_config(source: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config and everything that it inherits from.

    Args:
        source: A file; or the name of a config that an installed package carries, such as
            ``mmdet::retinanet/retinanet_r50_fpn_1x_coco.py`` (``.py`` may be left out), where ``wrs_mm::``
            may be left out.
        options: Values to override, by config key, as ``--cfg-options`` gives them.

    Returns:
        The config, its ``filename`` the path of the file.

    Raises:
        ConfigError: The file or a base of it is missing or does not parse, an option does not fit
            into it, or it imports a package that is not installed.
    """
    from mmengine.config import Config

    path = config_path(source)
    try:
        config = Config.fromfile(str(path))
    except Exception as error:  # a config is a program: whatever it raises is its author's mistake
        why = error
        if isinstance(error, ImportError):
            # mmengine's own says which import failed, and the whole sys.path: why stands behind it.
            why = [cause for cause in causes(error) if isinstance(cause, ImportError)][-1]
        answer = missing_package(error) or f"cannot be read: {error_line(why)}"
        raise ConfigError(f"config {source} {answer}") from error
    if options:
        merge_options(config, options)
    return config


def config_reader() -> Callable[[str | Path], Config]:
    """A :func:`load_config` that reads each source once; whoever asks for it gets a copy.

    Reading takes half a second, copying a hundredth. It is for one task, during which files stay as they
    are.
    """
    read = functools.cache(load_config)
    return lambda source: copy.deepcopy(read(str(source)))


def config_path(source: str | Path) -> Path:
    """Find the file that :func:`load_config` reads.

    Raises:
        ConfigError: There is no such file, or no such toolbox.
    """
    scope, separator, name = str(source).partition("::")
    if not separator:
        path = Path(source)
        if not path.is_file():
            ours = find_carried(path, ".py")
            if ours is None:
                hint = did_you_mean(str(path.with_suffix("")), carried_recipes())
                raise ConfigError(
                    f"config {source} does not exist; give the path of a config file, or mmdet::NAME, "
                    f"mmseg::NAME or {SCOPE}::NAME{hint}"
                )
            return ours
        if path.suffix not in {".py", ".json", ".yaml", ".yml"}:
            raise ConfigError(f"config {source} is not a .py, .json or .yaml file")
        return path
    spec = importlib.util.find_spec(scope) if scope.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        install = f": pip install {scope}" if scope in _TOOLBOXES else ""
        raise ConfigError(f"config {source}: no package {scope!r} is installed{install}")
    own = scope == SCOPE
    root = carried("configs") if own else Path(spec.submodule_search_locations[0]) / ".mim" / "configs"
    path = root / (name if name.endswith(".py") else f"{name}.py")
    if not path.is_file():
        hint = did_you_mean(name.removesuffix(".py"), carried_recipes()) if own else ""
        raise ConfigError(f"config {source} does not exist: {scope} carries no {name!r}{hint}")
    return path


def merge_options(config: Config, options: Mapping[str, Any]) -> None:
    """Override values of ``config`` in place.

    Args:
        config: The config.
        options: New values by config key; a number in a key indexes a list.

    Raises:
        ConfigError: A key leads into something that is neither a dict nor a list of that length.
    """
    for key, value in options.items():
        try:
            config.merge_from_dict({key: value})
        except Exception as error:  # mmengine raises KeyError, TypeError and AttributeError
            raise ConfigError(
                f"option {key}={value!r} does not fit into the config: {error_line(error)}"
            ) from error


_READ_BESIDE_RUNNER = frozenset(
    "allow_partial custom_imports model_wrapper_cfg runner_type find_unused_parameters sync_bn compile "
    "activation_checkpointing efficient_conv_bn_eval tta_model tta_pipeline".split()
)
"""Keys that mmengine, the toolboxes and wrs_mm read from the config without the Runner naming them."""


@functools.cache
def runner_keys() -> frozenset[str]:
    """The top-level keys of a config that somebody reads when mmengine's Runner is built from it."""
    from mmengine.runner import Runner

    named = set(inspect.signature(Runner.__init__).parameters) - {"self", "cfg"}
    return frozenset(named | _READ_BESIDE_RUNNER)


def evaluator_configs(evaluators: Any) -> list[Any]:
    """The metrics of ``val_evaluator`` or ``test_evaluator``, which may be one dict, a list, or None."""
    if evaluators is None:
        return []
    return list(evaluators) if isinstance(evaluators, (list, tuple)) else [evaluators]
