"""What one run is: recipe × arm × optimizer × learning rate × seed, and the name of its folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from wrs_mm.bench.plan.dynamics import DynamicsOptions

Scenario: TypeAlias = tuple[str, str, float | None]
"""Recipe, optimizer and learning rate: within one of these, arms are compared."""

Split: TypeAlias = Literal["tune", "test"]
"""``tune``: the config's validation data, on which settings are chosen. ``test``: its test data."""

FROM = " from "
"""What stands between a recipe and its start in the name of both."""

SCRATCH = "scratch"
"""What a start from random weights is called."""

_UNSAID = ("dynamics", "start", "pretraining")
"""Fields that files leave out where they are None: those of plans without them are what they were, and older
versions read them."""

_MAX_ID = 150
"""Length of a run's folder name; file systems allow 255, the rest is for files beside it."""


def arm_label(name: str, options: Mapping[str, Any]) -> str:
    """An arm, or an optimizer, as people read it: ``wd`` or ``wd (weight_decay=0.0001)``."""
    listed = ", ".join(f"{key}={value}" for key, value in sorted(options.items()))
    return f"{name} ({listed})" if listed else name


def short_name(regularizer: str) -> str:
    """What folders and tables call a regularizer: of one that is named by its import path, the function.

    The arms of a plan must differ in it (:func:`wrs_mm.bench.plan.plan.load_plan`).
    """
    return regularizer.rpartition(".")[2]


class Start(BaseModel):
    """Where the backbone of a run comes from.

    Attributes:
        label: What tables call it: :data:`SCRATCH`, a checkpoint's name, or the arm that it was pretrained
            with.
        recipe: The run's recipe without it, as the plan calls it.
        checkpoint: A file or an address; None for random weights, and of a pretraining of the plan before its
            config is resolved.
        pretraining: The pretraining's seed; None where it is none of the plan's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    recipe: str
    checkpoint: str | None = None
    pretraining: int | None = None


class RunSpec(BaseModel):
    """One training. Its :attr:`id` names its folder.

    Attributes:
        recipe: What the plan calls it.
        config: The recipe's config as the plan names it; None where that is ``recipe``.
        regularizer: The arm's regularizer: a name, or an import path.
        options: The arm's options.
        settings: What it has beside its options: ``lr``, in place of ``learning_rate``, and options of the
            regularizer that tuning found. Arms at different settings are compared within one scenario.
        optimizer: ``recipe`` for the recipe's own.
        optimizer_options: The optimizer's options, without the learning rate.
        learning_rate: None for the recipe's.
        cfg_options: Values of the config to override, by config key.
        links: Config keys that follow others, see :mod:`wrs_mm.bench.plan.links`.
        seed: Seed of the training.
        trial: Number of the trial; None for a run that is none, whose numbers are reported.
        split: Which split tables report. On ``test``, a run evaluates its last weights there too, after its
            training.
        baseline: Whether the others are compared with this arm.
        dynamics: How it watches its weights; None where it does not, and a trial never does.
        start: Where its backbone comes from; None where the recipe says it.
        pretraining: Of a run from whose backbone others start, what its config's hash begins with; None for
            all others. Such a run belongs to all plans that need it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    config: str | None = None
    regularizer: str
    options: dict[str, Any]
    settings: dict[str, Any] = {}
    optimizer: str
    optimizer_options: dict[str, Any] = {}
    learning_rate: float | None = None
    cfg_options: dict[str, Any] = {}
    links: dict[str, str] = {}
    seed: int
    trial: int | None = None
    split: Split = "tune"
    baseline: bool
    dynamics: DynamicsOptions | None = None
    start: Start | None = None
    pretraining: str | None = None

    @model_serializer(mode="wrap")
    def _without_unsaid(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = write(self)
        return {key: value for key, value in content.items() if key not in _UNSAID or value is not None}

    @property
    def id(self) -> str:
        """Folder name: readable, safe in any file system, and a function of the run alone.

        ``cfg_options``, ``links`` and ``dynamics`` are not in it: of one recipe all runs of a plan have the
        same. ``start`` is in what the recipe is called.
        """
        recipe = self.recipe.removesuffix(".py").replace("::", "-").replace("/", "-").replace(FROM, "-from-")
        readable = f"{recipe}__{self.name_in_recipe}"
        safe = re.sub(r"[^A-Za-z0-9._=+-]", "-", readable).lstrip(".-")
        if safe == readable and len(safe) <= _MAX_ID:
            return safe
        digest = hashlib.sha256(readable.encode()).hexdigest()[:8]
        return f"{safe[-_MAX_ID:].lstrip('.-')}__{digest}"

    @property
    def name_in_recipe(self) -> str:
        """What tells it from the recipe's other runs, as in :attr:`id`: arm, optimizer, rate, seed, …"""
        arm = "-".join([short_name(self.regularizer), *(f"{k}={v}" for k, v in sorted(self.options.items()))])
        options = [f"{key}={value}" for key, value in sorted(self.optimizer_options.items())]
        optimizer = "-".join([self.optimizer, *options])
        settings = "-".join(["at", *(f"{key}={value}" for key, value in sorted(self.settings.items()))])
        parts = [
            arm,
            *([settings] if self.settings else []),
            *([] if optimizer == "recipe" else [optimizer]),
            *([] if self.learning_rate is None else [f"lr={self.learning_rate}"]),
            *([] if self.trial is None else [f"trial{self.trial}"]),
            f"seed{self.seed}",
            *([] if self.split == "tune" else [self.split]),
            *([] if self.pretraining is None else [self.pretraining]),
        ]
        return "__".join(parts)

    @property
    def lr(self) -> float | None:
        """What it trains with: the arm's own learning rate, or else ``learning_rate``; None: the recipe's."""
        own: float | None = self.settings.get("lr", self.learning_rate)
        return own

    @property
    def scenario(self) -> Scenario:
        """Within which it is compared with other runs."""
        return self.recipe, self.optimizer_label, self.learning_rate

    @property
    def arm_label(self) -> str:
        """The arm as people read it."""
        return arm_label(short_name(self.regularizer), self.options)

    @property
    def optimizer_label(self) -> str:
        """The optimizer as people read it, without its learning rate."""
        return arm_label(self.optimizer, self.optimizer_options)
