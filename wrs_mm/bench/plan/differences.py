"""What differs between resolved configs, and which of it an arm may change.

An arm of a comparison may change only what it declares (AlgoPerf's rule): everything else that differs
would be measured under its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from wrs_mm.bench.plan.config_keys import flatten, read_keys
from wrs_mm.values import type_name

MISSING = "—"
"""Stands for the value of a key that a config does not have."""

_DECLARED = {
    "regularizer": re.compile(
        r"optim_wrapper\.(type|(base_)?constructor|(wrs|pbwn|rule|scale_invariance)(\..*)?"
        r"|paramwise_cfg(\.(.*\.)?\w*decay_mult)?)"
        # Of timm's projected optimizers, and of the builders of models.
        r"|optim_wrapper\.optimizer\.(type|delta|wd_ratio)|model\.(type|of|p)"
        r"|custom_imports\..*"
    ),
    # An arm's own weight decay is a factor on the optimizer's.
    "optimizer": re.compile(r"optim_wrapper\.(optimizer\..*|paramwise_cfg\.scale_invariant_decay_mult)"),
    "learning_rate": re.compile(r"optim_wrapper\.optimizer\.lr"),
}
"""The keys that each part of a run may change."""


def config_values(content: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a resolved config that are read, by config key; classes by their names."""
    read = read_keys()
    return {key: _plain(value) for key, value in flatten(content).items() if key.partition(".")[0] in read}


def differing(columns: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The keys that do not have the same value everywhere.

    Args:
        columns: Values of several configs, from :func:`config_values`.

    Returns:
        For each such key its value in every config; :data:`MISSING` where there is none.
    """
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = {key: [column.get(key, MISSING) for column in columns] for key in sorted(keys)}
    return {key: row for key, row in rows.items() if any(_differ(value, row[0]) for value in row)}


def undeclared(one: Mapping[str, Any], other: Mapping[str, Any], parts: Sequence[str]) -> list[str]:
    """The keys in which two configs differ although none of the parts that differ declares them.

    Args:
        one: Values of a config, from :func:`config_values`.
        other: Those of another.
        parts: In which of ``regularizer``, ``optimizer`` and ``learning_rate`` the runs differ.
    """
    return [
        key
        for key, values in differing([one, other]).items()
        if not any(_DECLARED[part].fullmatch(key) for part in parts) or _changes_precision(key, values)
    ]


def _changes_precision(key: str, values: Sequence[Any]) -> bool:
    names = [type_name(str(value)) for value in values]
    return key == "optim_wrapper.type" and len({name.startswith("Amp") for name in names}) > 1


def _differ(one: Any, other: Any) -> bool:
    # 1 and 1.0 are the same value; True and 1, or a missing value and the text for it, are not.
    return one != other or isinstance(one, bool) != isinstance(other, bool)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, (str, int, float, dict, type(None))):
        return value
    return getattr(value, "__name__", None) or repr(value)
