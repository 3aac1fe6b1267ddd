"""What hooks that measure a model now and then share: their options, their file, and a forward of a batch."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from wrs_mm.errors import OptionError
from wrs_mm.values import is_whole_number


def require_whole_numbers(hook: str, seed: object, **least: tuple[object, int]) -> None:
    """Check a hook's seed, and options that are counts.

    Args:
        hook: Its name.
        seed: What was given.
        **least: By the option's name, what was given and the least that it may be.

    Raises:
        OptionError: One is out of its range.
    """
    for name, (value, smallest) in least.items():
        if not is_whole_number(value) or value < smallest:
            raise OptionError(f"{hook}: {name} must be a whole number from {smallest}, not {value!r}")
    if not is_whole_number(seed) or not 0 <= seed < 2**32:
        raise OptionError(f"{hook}: seed must be a whole number from 0, not {seed!r}")


def measured_before(file: Path, runner: Any) -> list[dict[str, Any]]:
    """What a training that is resumed has measured; of later iterations it measures again.

    A training that begins anew has nothing to do with what its folder holds.

    Args:
        file: What was written, a list of entries with their ``iteration``.
        runner: The runner.
    """
    if runner.iter == 0 or not file.is_file():
        return []
    kept = json.loads(file.read_text(encoding="utf-8"))
    return [entry for entry in kept if entry["iteration"] <= runner.iter]


def losses(model: Any, batch: Any) -> Any:
    """The losses of a batch, as the model names them.

    Args:
        model: Without a wrapper.
        batch: As a data loader gives it; left as it is.
    """
    data = model.data_preprocessor(copy.deepcopy(batch), training=True)
    return model(**data, mode="loss") if isinstance(data, dict) else model(*data, mode="loss")
