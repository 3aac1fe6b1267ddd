"""The section on transfer: tables/transfer.py, transfers.py and figures/transfer.py."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_transfer import finetuned, pretrained
from visits import open_page

from wrs_mm.bench.report.figures.transfer import size_figure
from wrs_mm.bench.report.files import collect, write_tables
from wrs_mm.bench.report.page import write_page
from wrs_mm.bench.report.tables.transfer import transfer_tables
from wrs_mm.bench.report.transfers import sentences
from wrs_mm.bench.runs.records import Identity, StartNorms
from wrs_mm.bench.runs.work_dir import WorkDir
from wrs_mm.bench.statistics.benchmark import RunData
from wrs_mm.bench.statistics.transfer import size_curves, transfers

GAIN = {("wd", "wd"): 0.0, ("wd", "wrs"): 1.0, ("wrs", "wd"): 3.0, ("wrs", "wrs"): 6.0}
"""Points by what a backbone was pretrained, and then finetuned with."""

SCATTER = (0.0, 0.2, -0.1)


def runs(seeds: int = 3, **fields: object) -> list[RunData]:
    """Finetunings of two pretrainings whose gains scatter a little from seed to seed, and these."""
    return [
        *(
            finetuned(start, arm, seed, 60 + gain * (1 + SCATTER[seed]), 0, **fields)
            for (start, arm), gain in GAIN.items()
            for seed in range(seeds)
        ),
        *(pretrained(arm, 0, 70.0) for arm in ("wd", "wrs")),
    ]


def test_a_matrix_has_its_cells_what_each_axis_does_and_what_depends_on_both() -> None:
    (one,) = transfers(runs())
    matrix, interaction = transfer_tables(one)
    assert [column.name for column in matrix.columns] == [
        *("pretrained with", "its own result", "finetuned with wd", "finetuned with wrs", "Δ to wd"),
    ]
    wd, wrs, columns = ([cell.whole for cell in row.cells] for row in matrix.rows)
    assert wd[:3] == ["wd", "70.00 top1", "60.00 ± 0.00"] and wd[-1] == "baseline"
    assert wrs[2] == "63.10 ± 0.46" and wrs[-1].startswith("+4.13 [+")
    assert columns[:3] == ["Δ to wd", "–", "baseline"] and columns[3].startswith("+2.07 [+")
    assert "holds for that one" in matrix.caption
    (row,) = interaction.rows
    assert row.cells[0].text == "wrs" and row.cells[1].text == "+2.07"


def test_the_norms_that_a_row_starts_with_stand_in_it() -> None:
    of_wd = StartNorms(least=0.5, median=1.25, most=4.0)
    listed = [
        replace(run, result=run.result.model_copy(update={"start_norms": of_wd}))
        if run.result and run.spec.start and run.spec.start.label == "wd"
        else run
        for run in runs()
    ]
    matrix, _ = transfer_tables(transfers(listed)[0])
    assert matrix.columns[2].name == "its filters' norms" and "Norms: the median" in matrix.caption
    assert [row.cells[2].text for row in matrix.rows] == ["1.2 [0.5, 4]", "–", "–"]
    assert len({len(row.cells) for row in matrix.rows}) == 1


def test_of_one_start_the_norms_that_runs_begin_with_are_shown_and_nothing_is_compared() -> None:
    of_wd = StartNorms(least=0.5, median=1.25, most=4.0)
    listed = [run for run in runs() if run.spec.start is None or run.spec.start.label == "wd"]
    assert not transfers(listed)
    with_norms = [
        replace(run, result=run.result.model_copy(update={"start_norms": of_wd})) if run.result else run
        for run in listed
    ]
    (one,) = transfers(with_norms)
    (table,) = transfer_tables(one)
    (row,) = table.rows
    assert [cell.text for cell in row.cells] == ["wd", "1.2 [0.5, 4]", "70.00 top1"]
    assert table.caption.startswith("Norms: the median") and sentences(one) == []


@pytest.mark.parametrize("split", ["tune", "test"])
def test_the_caption_names_the_split_of_the_cells_and_that_of_the_pretrainings(split: str) -> None:
    matrix, _ = transfer_tables(transfers(runs(split=split))[0])
    assert f", on {split}. Δ" in matrix.caption and "validation images of its recipe (tune)" in matrix.caption


def test_two_sentences_say_what_the_numbers_do() -> None:
    (one,) = transfers(runs())
    rows, both = sentences(one)
    assert rows.startswith(
        "Against backbones from wd, averaged over what they are finetuned with, from wrs: +4"
    )
    assert rows.endswith("], better.") and "wrs from wrs: +2.07 points of mIoU [" in both
    (few,) = transfers(runs(2))
    assert sentences(few)[0].endswith("points of mIoU, too few seeds.")


def test_a_figure_has_a_line_a_start_at_the_sizes_that_were_trained() -> None:
    listed = [
        run for size in (10, 100) for run in runs(2, cfg_options={"train_dataloader.dataset.indices": size})
    ]
    figure = size_figure(size_curves(listed)[0])
    content = json.loads(figure.content)
    lines = [trace for trace in content["data"] if trace["mode"] == "lines+markers"]
    assert [trace["name"] for trace in lines] == ["from wd", "from wrs"] and lines[0]["x"] == [10, 100]
    assert content["layout"]["xaxis"]["ticktext"] == ["10", "100"]


@pytest.fixture
def work_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkDir:
    """A work dir of them; pretrainings are where they are for all plans."""
    monkeypatch.chdir(tmp_path)
    work_dir = WorkDir(Path("work"))
    work_dir.path.mkdir()
    listed = runs()
    work_dir.register("transfer", [run.spec for run in listed])
    for one in listed:
        run = work_dir.run(one.spec)
        assert one.result is not None
        run.prepare(Identity(spec=one.spec, task=one.result.task, dataset="d", config_hash="h"), "a = 1\n")
        run.write_result(one.result)
    return work_dir


def test_page_and_tables_begin_with_the_matrix(work_dir: WorkDir, browser: Any) -> None:
    report = collect(work_dir, with_images=True)
    write_tables(report)
    text = work_dir.table.read_text()
    assert text.index("pretrained with × finetuned with") < text.index("Segmentation")
    assert Path("work_dirs/pretrained/wd0000/result.json").is_file()
    visit = open_page(browser, write_page(report).absolute(), 400)
    section = visit.page.locator("#transfer")
    assert section.locator("h2").inner_text() == "Does it matter how backbones were pretrained?"
    assert section.locator("li").count() == 2 and section.locator("tbody tr").count() == 3 + 1
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 400
    assert visit.complaints == []
