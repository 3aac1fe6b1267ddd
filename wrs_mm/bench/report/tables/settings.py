"""The columns that say at which settings an arm was trained, and what a reader must know of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wrs_mm.bench.plan.optimizers import class_name, decay_meaning
from wrs_mm.bench.plan.search import setting_label
from wrs_mm.bench.report.labels import NONE, label, scenario_label, scenario_of
from wrs_mm.bench.report.tables.base import Column, Record, TableCell
from wrs_mm.bench.runs.records import Status
from wrs_mm.bench.statistics.results import options_json
from wrs_mm.bench.statistics.tuned import ArmTrials


class SettingsColumns:
    """The columns; left out where no arm has settings of its own, or none was tuned.

    Args:
        rows: All rows of the table.
        tuned: The arms that were tuned.
    """

    def __init__(self, rows: Sequence[Record], tuned: Sequence[ArmTrials]) -> None:
        self._tuned = {_key(row_of(one)): one for one in tuned}
        self._settings = any(json.loads(row["settings"]) for row in rows)

    def columns(self) -> list[Column]:
        """The columns."""
        columns = [Column("settings")] if self._settings else []
        return columns + ([Column("trials")] if self._tuned else [])

    def cells(self, row: Record) -> list[TableCell]:
        """A row's cells in them."""
        one = self._tuned.get(_key(row))
        border = one.border if one else {}
        cells = [TableCell(shown_settings(json.loads(row["settings"]), border))] if self._settings else []
        if self._tuned:
            cells.append(TableCell(_trials_text(one)) if one else TableCell(NONE))
        return cells


def row_of(one: ArmTrials) -> Record:
    """What a summary's row says of an arm itself; without its results, of which there may be none."""
    spec = one.spec
    return {
        "recipe": spec.recipe,
        "optimizer": spec.optimizer_label,
        "learning_rate": spec.learning_rate,
        "regularizer": spec.regularizer,
        "options": options_json(spec.options),
        "settings": options_json(one.choice.settings or {}),
        "baseline": spec.baseline,
    }


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    return scenario_label(row), label(row)


def shown_settings(settings: Mapping[str, Any], border: Iterable[str] = ()) -> str:
    """Settings as people read them; what lies at the border of the search is marked.

    Args:
        settings: The settings.
        border: Names of those at the border.
    """
    listed = [
        setting_label({name: value}) + (" (at the border)" if name in border else "")
        for name, value in sorted(settings.items())
    ]
    return ", ".join(listed) or NONE


def _trials_text(one: ArmTrials) -> str:
    """How many trials an arm has had, and how many of them came to no score."""
    text = str(one.planned) if one.through == one.planned else f"{one.through} of {one.planned}"
    counts = {status: one.count(status) for status in (Status.DIVERGED, Status.STOPPED)}
    return ", ".join([text, *(f"{count} {status}" for status, count in counts.items() if count)])


def decay_sentences(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What weight decay means for optimizers that are named, and where it does not mean the same for all."""
    by_meaning: dict[str, list[str]] = {}
    rows = list(rows)
    projected = any(row["regularizer"] == "projected" for row in rows)
    for optimizer in sorted({str(row["optimizer"]) for row in rows if row["regularizer"] != "projected"}):
        kind, _, options = optimizer.partition(" ")
        decoupled = "decoupled_weight_decay=True" in options
        meaning = decay_meaning({"type": class_name(kind), "decoupled_weight_decay": decoupled})
        if meaning is not None:
            by_meaning.setdefault(meaning, []).append(optimizer)
    said = []
    if "L2" in by_meaning:
        said.append(f"a term of the gradient with {', '.join(by_meaning['L2'])} (L2)")
    elif projected and not by_meaning:
        said.append("a term of the gradient with a recipe's SGD or Adam (L2)")
    off = [*by_meaning.get("decoupled", []), *(["the arm projected"] if projected else [])]
    if off:
        said.append(f"taken off the weights with {', '.join(off)} (decoupled)")
    unequal = ": equal numbers are not equal strengths" if len(said) > 1 else ""
    return [f"Weight decay is {', and '.join(said)}{unequal}."] if said else []


def warnings(tuned: Iterable[ArmTrials]) -> list[str]:
    """What a reader must know of the tuning, a sentence an arm."""
    return [text for one in tuned if (text := _warning(one))]


def _warning(one: ArmTrials) -> str:
    name = f"{one.label} on {scenario_of(one.spec.scenario)}"
    if one.choice.hopeless:
        which = "all of its trials" + (" that were not stopped" if one.count(Status.STOPPED) else "")
        return f"{name}: {which} diverged, so it has no final runs."
    if one.choice.waiting:
        return f"{name}: {one.planned - one.through} of its {one.planned} trials are not through yet."
    if not one.border:
        return ""
    settings = one.choice.settings or {}
    found = setting_label({setting: settings[setting] for setting in one.border})
    keys = " and ".join(one.border.values())
    return f"{name}: the best trial, {found}, is at the border of the search; widen {keys}."
