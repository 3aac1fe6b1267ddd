"""Runs that watch their weights, from the plan to the page: killed and resumed, packed and unpacked."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from benches import BENCH, Bench
from commands import finish

from wrs_mm.bench.runs.dynamics import run_dynamics
from wrs_mm.engine.hooks.dynamics_file import DATA, HEAD

ARMS = ["wd", "none", "wrs", "hyperball"]


@pytest.mark.slow
def test_killed_and_resumed_a_run_has_watched_what_it_would_have_and_reports_show_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.recipe("held", hook="hold_at=13")
    # Of wd the weights are found again after the kill, in update 11; it is measured like any other.
    bench.plan("held", regularizers=f"[{', '.join(ARMS)}]", dynamics="{interval: 1}")
    process = bench.start("--jobs", "2")
    for arm in ARMS[:2]:
        bench.wait_for_checkpoint(process, f"held__{arm}__seed0", 10)
    process.kill()
    finish(process)
    bench.let_go()
    bench.run("--jobs", "2")
    bench.run("--jobs", "2", work_dir="undisturbed")
    for arm in ARMS:
        name = f"held__{arm}__seed0"
        folder, other = bench.run_folder(name), bench.run_folder(name, "undisturbed")
        assert len(bench.attempts(name)) == (2 if arm in ARMS[:2] else 1)
        for file in (HEAD, DATA):
            assert (folder / file).read_bytes() == (other / file).read_bytes(), (arm, file)
        found = run_dynamics(folder)
        assert found is not None and len(found.contents.weights) == 7
        # The branch of a residual block begins at zero: its first updates turn nothing.
        assert found.iterations.tolist()[-1] == 20 and (found.of("turn")[-1] > 0).all()
    # The harness adds the hook: configs are those of a plan without it.
    assert "WeightDynamicsHook" not in (bench.run_folder("held__wd__seed0") / "config.py").read_text()

    def call(*words: str) -> None:
        subprocess.run([*BENCH, *words], cwd=tmp_path, check=True, capture_output=True)

    call("report", "work")
    call("pack", "work", "study.tar.xz")
    call("unpack", "study.tar.xz", "--work-dir", "again")
    call("report", "again")
    pages = [(tmp_path / place / "report.html").read_text() for place in ("work", "again")]
    sections = [page.partition('<section id="dynamics">')[2].partition("</section>")[0] for page in pages]
    assert sections[0] == sections[1]
    for arm in ARMS[1:]:
        assert f"{arm}: a factor of" in sections[0]
