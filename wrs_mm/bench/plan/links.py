"""Config keys that follow others: ``param_scheduler.1.eta_min: 0.01 * lr``.

A config computes some values from others while it is parsed (``eta_min=base_lr * 0.05``) and keeps the
numbers only. Whoever then sets another learning rate leaves them behind; a link takes them along.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wrs_mm.bench.plan.config_keys import lookup, override
from wrs_mm.errors import ConfigError, OptionError
from wrs_mm.values import is_number

if TYPE_CHECKING:
    from mmengine.config import Config

LR = "optim_wrapper.optimizer.lr"
"""Where a config has its learning rate."""

_SHORT = {"lr": LR, "weight_decay": "optim_wrapper.optimizer.weight_decay"}
"""Short names of config keys that others follow."""

_FORM = re.compile(r"\s*(?P<factor>\S+)\s*\*\s*(?P<key>[\w.]+)\s*")


@dataclass(frozen=True)
class Link:
    """A value of a config as a multiple of another.

    Attributes:
        key: The config key that follows.
        source: The one that leads.
        factor: The multiple; None for the recipe's own, the quotient of the two values it has.
    """

    key: str
    source: str
    factor: float | None

    @classmethod
    def parse(cls, key: str, text: str) -> Link:
        """Read ``FACTOR * KEY``: a number, or ``recipe`` for the quotient that the recipe has.

        Raises:
            OptionError: The text has another form.
        """
        match = _FORM.fullmatch(text)
        factor = None
        if match and match["factor"] != "recipe":
            try:
                factor = float(match["factor"])
            except ValueError:
                match = None
        if match is None:
            raise OptionError(f"write the link of {key} as «0.01 * lr» or «recipe * lr», not {text!r}")
        return cls(key, _SHORT.get(match["key"], match["key"]), factor)

    def measured(self, recipe: Config) -> Link:
        """The same link with the recipe's factor as a number.

        Raises:
            ConfigError: The recipe lacks one of both keys, or the quotient does not exist.
        """
        if self.factor is not None:
            return self
        follows, leads = _number(recipe, self.key), _number(recipe, self.source)
        if leads == 0:
            raise ConfigError(f"{self.source} is 0 in the recipe, so {self.key} is no multiple of it")
        return Link(self.key, self.source, follows / leads)

    def apply(self, config: Config) -> None:
        """Set the value that follows, in place.

        Raises:
            ConfigError: The config lacks what leads, or the place of what follows.
        """
        assert self.factor is not None, "measure a link before it is applied"
        # 0.1 * (0.001 / 0.01) is 0.010000000000000002: 12 digits are the number that was meant.
        override(config, {self.key: float(f"{self.factor * _number(config, self.source):.12g}")})


def parse_links(links: Mapping[str, str]) -> list[Link]:
    """The links of a plan, in its order.

    Raises:
        OptionError: One of them has another form than :meth:`Link.parse` reads.
    """
    return [Link.parse(key, text) for key, text in links.items()]


def _number(config: Config, key: str) -> float:
    value = lookup(config, key)
    if not is_number(value):
        raise ConfigError(f"{key} is {value!r}, not a number")
    return float(value)
