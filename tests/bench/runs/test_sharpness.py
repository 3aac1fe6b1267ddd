"""The file of a run's sharpness, and measurements.py: what the hook writes is read, damage is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_up_sharpness import entry
from toy_training import runner

from wrs_mm.bench.runs.sharpness import parse, run_sharpness
from wrs_mm.engine.hooks.sharpness_hook import NAME


def test_what_the_hook_writes_is_read_as_it_is(tmp_path: Path) -> None:
    hook = {"type": "SharpnessHook", "interval": 8, "batch_size": 6, "most_products": 5}
    runner(tmp_path, by_epoch=False, name="sharp", custom_hooks=[hook]).train()
    found = run_sharpness(tmp_path)
    assert [one.iteration for one in found] == [0, 8, 16]
    assert [one.model_dump() for one in found] == json.loads((tmp_path / NAME).read_text())


def test_a_run_that_measures_nothing_or_whose_file_is_damaged_has_none(tmp_path: Path) -> None:
    assert run_sharpness(tmp_path) == ()
    (tmp_path / NAME).write_text(json.dumps([entry(0)]))
    assert len(run_sharpness(tmp_path)) == 1
    (tmp_path / NAME).write_text(json.dumps([entry(0)])[:-1])
    assert run_sharpness(tmp_path) == ()


def test_all_but_the_iteration_may_be_unknown() -> None:
    unknown = dict.fromkeys(set(entry(0)) - {"iteration"})
    (one,) = parse(json.dumps([entry(3, **unknown)]).encode())
    assert one.model_dump() == {"iteration": 3, **unknown}


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        [entry(0), entry(0)],
        [entry(8), entry(0)],
        [entry(-1)],
        [{**entry(0), "iteration": 0.5}],
        [{**entry(0), "sharpness": "1"}],
        [entry(0, sharpness=float("nan"))],
        [entry(0, stable=float("inf"))],
        [{**entry(0), "more": 1.0}],
        [{key: value for key, value in entry(0).items() if key != "sphere"}],
    ],
    ids=str,
)
def test_what_the_hook_does_not_write_is_damaged(content: Any) -> None:
    with pytest.raises(ValueError, match=r"^sharpness\.json is damaged or of another version of wrs-mm$"):
        parse(json.dumps(content).encode())
