"""What a plan says reaches the optimizer that trains."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from benches import Bench

PLAN = """
name: tiny
recipes:
  - config: first
    name: singles
    cfg_options: {train_dataloader.batch_size: 1}
regularizers: [wd, wrs]
optimizers: [recipe, {AdamW: {lr: 1.0e-3, betas: [0.8, 0.9]}}]
learning_rates: [0.04]
cfg_options: {train_cfg.max_iters: 4}
links: {param_scheduler.0.eta_min: recipe * lr}
seeds: [0]
baseline: wd
"""

SCHEDULE = "param_scheduler = [dict(type='PolyLR', eta_min=0.005, begin=0, end=4, by_epoch=False)]\n"


@pytest.mark.slow
def test_optimizer_learning_rate_settings_and_links_reach_the_training(tmp_path: Path):
    bench = Bench(tmp_path)
    bench.recipe("first", more=SCHEDULE)
    (tmp_path / "plan.yaml").write_text(PLAN)
    printed = " ".join(bench.run().split())
    assert printed.count("warning: ") == 1 and "AdamW keeps weight_decay=0.001, chosen for SGD" in printed

    frame = bench.results()
    assert set(frame["status"]) == {"done"} and set(frame["recipe"]) == {"singles"}
    assert set(frame["iteration"]) == {4}
    runs = frame.drop_duplicates("run").set_index("run")
    assert sorted(map(str, runs["learning_rate"])) == ["0.001", "0.001", "0.04", "0.04"]
    assert set(runs["optimizer"]) == {"recipe", "AdamW (betas=[0.8, 0.9])"}

    for run, row in runs.iterrows():
        checkpoint = torch.load(bench.run_folder(str(run)) / "iter_4.pth", weights_only=False)
        (group, *_) = checkpoint["optimizer"]["param_groups"]
        assert group["initial_lr"] == row["learning_rate"]
        # After its last step the schedule is at its minimum: half of what the plan set, as in the recipe.
        assert group["lr"] == pytest.approx(row["learning_rate"] / 2)
        betas = group.get("betas")
        assert (betas and list(betas)) == ([0.8, 0.9] if row["optimizer"] != "recipe" else None)
        assert ("momentum" in group) == (row["optimizer"] == "recipe")
