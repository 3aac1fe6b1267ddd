"""tools/perf/arm_costs.py: what it measures of an arm, and what it writes into a card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from wrs_mm.regularizers import apply_regularizer, names

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def arm_costs(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(ROOT / "tools" / "perf")
    import arm_costs

    yield arm_costs
    sys.modules.pop("arm_costs", None)


def test_a_copy_of_the_weights_is_seen_in_the_memory_and_gradients_are_there(arm_costs: Any) -> None:
    recipe = "mini/fcn_r18-narrow_mini-cityscapes"
    subject = arm_costs._Subject(recipe, 32)
    step, count = subject.stepping("hyperball")
    assert all(p.grad is not None for p in subject.model.parameters() if p.requires_grad)
    step()
    assert count == 1
    seen: dict[str, float] = {}

    def timed(steps: dict[str, Any], repeats: int) -> dict[str, float]:
        return dict.fromkeys(steps, 1.0)

    rows = arm_costs.measure(recipe, ["none", "hyperball"], [1], 1, 32, timed)
    assert [row["arm"] for row in rows] == ["wd", "none", "hyperball"]
    seen = {row["arm"]: row["memory"] for row in rows}
    assert seen["wd"] == 0 and abs(seen["none"]) < 0.02 and 0.9 < seen["hyperball"] < 1.05


def test_an_arm_that_acts_now_and_then_is_measured_over_its_whole_interval(arm_costs: Any) -> None:
    recipe = "mini/fcn_r18-narrow_mini-cityscapes"
    _, count = arm_costs._Subject(recipe, 32).stepping("pbwn")
    assert count == 10

    def timed(steps: dict[str, Any], repeats: int) -> dict[str, float]:
        return {"wd": 1.0, "pbwn": 20.0}

    rows = arm_costs.measure(recipe, ["pbwn"], [1], 1, 32, timed)
    assert [row["ratio"] for row in rows] == [1.0, 2.0]


def test_another_optimizer_takes_the_recipes_place(arm_costs: Any) -> None:
    pytest.importorskip("timm")
    subject = arm_costs._Subject("mini/fcn_r18-narrow_mini-cityscapes", 32, "AdamW")
    assert apply_regularizer(subject.config, "projected").optim_wrapper.optimizer.type == "TimmAdamP"
    step, _ = subject.stepping("projected")
    step()


def test_of_an_arm_with_other_layers_the_whole_step_is_measured(arm_costs: Any) -> None:
    assert [arm for arm in names() if arm_costs.changes_layers(arm)] == ["ws", "ic"]

    def timed(steps: dict[str, Any], repeats: int) -> dict[str, float]:
        for step in steps.values():
            step()
        return {"wd": 2.0, "ws": 3.0, "ic": 2.5}

    recipe = "mini/fcn_r18-narrow_mini-cityscapes"
    rows = arm_costs.measure_whole_steps(recipe, ["ws", "ic"], [1], 1, 32, timed)
    assert [(row["arm"], row["ratio"]) for row in rows] == [("wd", 1.0), ("ws", 1.5), ("ic", 1.25)]
    # Standardized weights, and dropout's masks, are kept besides.
    assert rows[0]["memory"] == 1 and all(1.01 < row["memory"] < 3 for row in rows[1:])
    text = arm_costs.table(rows[1:2])
    row = f"| `{recipe}`, images of 32 pixels | 1 | 1.50 | {rows[1]['memory']:.2f} |"
    assert "training step of" in text and text.endswith(row)


def test_a_card_gets_its_rows_between_the_marks_and_nothing_else_changes(
    arm_costs: Any, tmp_path: Path
) -> None:
    card = tmp_path / "hyperball.md"
    card.write_text("# a\n<!-- step_cost -->\nNot measured yet.\n<!-- /step_cost -->\nrest\n")
    row = {"arm": "hyperball", "model": "ResNet-50", "memory": 1.0}
    rows = [{**row, "threads": n, "ratio": 1.5 * n} for n in (1, 2)]
    for _ in range(2):
        assert arm_costs.write_card(card, rows, "here")
        text = card.read_text()
        assert text.startswith(
            "# a\n<!-- step_cost -->\nBy `python tools/perf/step_cost.py --arms --cards`, here;"
        )
        assert text.endswith("| ResNet-50 | 2 | 3.00 | 1.00 |\n<!-- /step_cost -->\nrest\n")
    assert not arm_costs.write_card(tmp_path / "nothing.md", rows, "here")


def test_every_arm_has_a_place_for_its_cost(arm_costs: Any) -> None:
    import marked

    for arm in (
        "scale_lr",
        "pbwn",
        "hyperball",
        "rotational",
        "shifted",
        "wrs",
        "wrs_matched",
        "ws",
        "projected",
        "ic",
    ):
        text = (ROOT / "docs" / "regularizers" / f"{arm}.md").read_text(encoding="utf-8")
        assert marked.place("step_cost").search(text), arm
