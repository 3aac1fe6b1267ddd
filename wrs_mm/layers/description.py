"""A config whose model is built by one of our builders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wrs_mm.errors import ModelError, OptionError
from wrs_mm.openmmlab.pretrained_config import names_pretrained


def with_builder(cfg: Mapping[str, Any], builder: str, arm: str, **options: Any) -> dict[str, Any]:
    """What of a config changes where a builder makes its model; all other keys of the model stay in place.

    Args:
        cfg: The config; one without a model has nothing that changes.
        builder: The builder's name.
        arm: What a message calls it.
        **options: The builder's own options.

    Raises:
        OptionError: The network starts from pretrained weights, whose function the builder would change, or
            another builder makes it already.
    """
    model = cfg.get("model") or {}
    if "type" not in model:
        return {}
    if "of" in model:
        raise OptionError(f"{arm}: the config's model is a {model['type']} already; take its recipe")
    if cfg.get("load_from") or names_pretrained(model):
        what = "load_from" if cfg.get("load_from") else "pretrained or init_cfg in model"
        raise OptionError(
            f"{arm}: the recipe starts from pretrained weights ({what}), and other layers would change what "
            "they compute before the first step; it is for networks that are trained from scratch"
        )
    return {"model": {**model, "type": builder, "of": _name(model["type"]), **options}}


def refuse_pretrained(model: Mapping[str, Any], arm: str) -> None:
    """Check, where the model is built, that nobody has given it pretrained weights since.

    Args:
        model: Its description.
        arm: What a message calls it.

    Raises:
        ModelError: It names some.
    """
    if names_pretrained(model):
        raise ModelError(
            f"{arm}: the model starts from pretrained weights, and other layers would change what they "
            "compute before the first step; leave --pretrained and init_cfg out, or train another arm"
        )


def _name(kind: Any) -> str:
    """A ``type`` as text; of a class (mmengine's new style) its import path."""
    return kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
