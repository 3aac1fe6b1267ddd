"""The file of a run's weight noise: what the hook writes is read, and what is damaged is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_up_noise import layer, noise
from toy_training import runner

from wrs_mm.bench.runs.weight_noise import parse, run_weight_noise
from wrs_mm.engine.hooks.weight_noise_hook import NAME


def test_what_the_hook_writes_is_read_as_it_is(tmp_path: Path) -> None:
    hook = {"type": "WeightNoiseHook", "images": 6, "batch_size": 3}
    runner(tmp_path, by_epoch=False, name="noise", custom_hooks=[hook]).train()
    found = run_weight_noise(tmp_path)
    assert [one.iteration for one in found] == [0, 16]
    written = json.loads((tmp_path / NAME).read_text())
    assert [json.loads(one.model_dump_json()) for one in found] == written
    assert found[0].share == pytest.approx(sum(one["share"] for one in written[0]["layers"]) / 2)


def test_a_run_that_measures_nothing_or_whose_file_is_damaged_has_none(tmp_path: Path) -> None:
    assert run_weight_noise(tmp_path) == ()
    text = json.dumps([noise(0, 0.5)])
    (tmp_path / NAME).write_text(text)
    assert len(run_weight_noise(tmp_path)) == 1
    (tmp_path / NAME).write_text(text[:-1])
    assert run_weight_noise(tmp_path) == ()


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        [noise(0, 0.5), noise(0, 0.5)],
        [noise(8, 0.5), noise(0, 0.5)],
        [noise(-1, 0.5)],
        [noise(0, 1.1)],
        [noise(0, float("nan"))],
        [{"iteration": 0, "layers": [{**layer(0.5), "more": 1}]}],
        [{"iteration": 0}],
    ],
    ids=str,
)
def test_what_the_hook_does_not_write_is_damaged(content: Any) -> None:
    with pytest.raises(ValueError, match=r"^weight_noise\.json is damaged or of another version of wrs-mm$"):
        parse(json.dumps(content).encode())
