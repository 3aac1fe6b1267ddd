"""A config by dotted key, as ``--cfg-options`` writes them: look up, flatten, override.

mmengine adds whatever key it is given and says nothing: ``train_dataloder.batch_size=4`` trains with the
old batch size, and so does ``data_root=…``, a variable that no one reads once the file is parsed. In a
comparison that would be a number under the wrong heading, so both are refused here.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wrs_mm.errors import ConfigError
from wrs_mm.openmmlab.configs import merge_options, runner_keys
from wrs_mm.values import did_you_mean

if TYPE_CHECKING:
    from mmengine.config import Config

OWNED = {"randomness.seed": "seeds", "work_dir": "--work-dir", "launcher": "--gpus-per-run", "resume": ""}
"""Config keys that belong to the harness, and what sets them."""


@functools.cache
def read_keys() -> frozenset[str]:
    """The top-level keys of a config that are read in training, without those that belong to the harness."""
    return runner_keys() - OWNED.keys()


def flatten(content: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of a nested dict by dotted key; empty dicts and lists are leaves.

    Args:
        content: The content of a config: dicts and lists to any depth.
        prefix: Put before every key.
    """
    if isinstance(content, Mapping) and content:
        pairs = [(str(key), value) for key, value in content.items()]
    elif isinstance(content, (list, tuple)) and any(isinstance(item, (Mapping, list)) for item in content):
        pairs = [(str(index), value) for index, value in enumerate(content)]
    else:
        return {prefix: content}
    leaves: dict[str, Any] = {}
    for key, value in pairs:
        leaves.update(flatten(value, f"{prefix}.{key}" if prefix else key))
    return leaves


def lookup(content: Any, key: str) -> Any:
    """The value at a dotted key; a number in the key indexes a list.

    Raises:
        ConfigError: There is nothing there; the message says how far the key leads.
    """
    value, way = content, ""
    for part in key.split("."):
        inner = _step(value, part)
        if inner is None:
            raise ConfigError(f"{way or 'the config'} has no {part!r}{_hint(value, part)}")
        value, way = inner[0], f"{way}.{part}" if way else part
    return value


def override(config: Config, options: Mapping[str, Any]) -> None:
    """Override values of ``config`` in place.

    A list in place of a tuple becomes a tuple: YAML has none, and some transforms take nothing else.

    Args:
        config: The config.
        options: New values by dotted key. The last part of a key may be new; what is before it must exist.

    Raises:
        ConfigError: A key leads nowhere, or to something that nobody reads.
    """
    for key, value in options.items():
        first, _, _ = key.partition(".")
        if first not in read_keys():
            where = "" if key == first else f"{key}: "
            raise ConfigError(f"{where}{_unread(config, first)}")
        above, _, last = key.rpartition(".")
        try:
            parent = lookup(config, above) if above else config
        except ConfigError as error:
            raise ConfigError(f"{key}: {error}") from None
        if not (hasattr(parent, "keys") or isinstance(parent, (list, tuple))):
            raise ConfigError(f"{key}: {above} is {parent!r}, which has no {last!r}")
        before = _step(parent, last)
        merge_options(config, {key: _like(before[0], value) if before else value})


def _step(value: Any, part: str) -> tuple[Any] | None:
    """What is one step into a dict or list, as a tuple of one; None if there is nothing."""
    if isinstance(value, Mapping) or hasattr(value, "_cfg_dict"):
        return (value[part],) if part in value else None
    if isinstance(value, (list, tuple)) and part.isdigit() and int(part) < len(value):
        return (value[int(part)],)
    return None


def _like(before: Any, value: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(before, Mapping):
        return {key: _like(before.get(key), entry) for key, entry in value.items()}
    if isinstance(before, tuple) and isinstance(value, list):
        inner = before[0] if before else None
        return tuple(_like(inner, entry) for entry in value)
    return value


def _hint(value: Any, part: str) -> str:
    if isinstance(value, (list, tuple)):
        return f", it is a list of {len(value)}"
    known = [str(key) for key in value] if hasattr(value, "keys") else []
    return did_you_mean(part, known)


def _unread(config: Config, first: str) -> str:
    if first not in config:
        return f"the config has no {first!r}{did_you_mean(first, read_keys())}"
    users = [
        leaf
        for leaf, value in flatten(config.to_dict()).items()
        if leaf.partition(".")[0] in read_keys()
        and type(value) is type(config[first])
        and value == config[first]
    ]
    use = f"; set what was made of it, perhaps {', '.join(users[:3])}" if users else ""
    return f"{first} is a variable of the config's file that nothing reads afterwards{use}"
