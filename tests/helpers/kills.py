"""A benchmark that is killed again and again must give what an undisturbed one gives.

``python tests/helpers/kills.py FOLDER --kills 24 --seed 0`` does it at any size; test_kills.py calls the
same at one that CI can afford. What happens, at random moments: SIGKILL for the harness, for a run's
process, for the process that runs are forked from; SIGTERM and Ctrl-C for the harness; and, where a
tmpfs can be mounted, a file system that fills up.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psutil
import torch
from benches import EPOCHS, VALIDATIONS, Bench
from commands import Spoken, finish

KILLS = ("kill harness", "ctrl-c", "kill fork server", "terminate harness")
FULL = "fill the disk"

TIMES = ["seconds"]
"""Columns of results.csv that may differ."""

RUNS = [f"{recipe}__{arm}__seed0" for recipe in ("steps", "epochs", "breaks") for arm in ("none", "wd")]


@contextlib.contextmanager
def small_disk(place: Path, mebibytes: int = 64) -> Iterator[bool]:
    """Mount a small file system, if this user may; says whether it is there."""
    place.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "wrs-mm-test", str(place)]
    mounted = shutil.which("mount") is not None and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Use up a file system; removing the returned file makes room again."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    return filler


def prepare(bench: Bench, iterations: int, seconds: float) -> None:
    """Three recipes: one counts updates, one epochs, one diverges half-way, once it is let go."""
    slow = f"seconds={seconds}"
    bench.recipe("steps", iterations, slow, VALIDATIONS)
    bench.recipe("epochs", iterations, slow, EPOCHS)
    bench.recipe(
        "breaks",
        iterations,
        f"{slow}, break_at={iterations // 2}, how='diverge', hold_at={iterations // 2 - 1}",
    )
    bench.plan("steps", "epochs", "breaks")


def disturb(bench: Bench, place: Path, kills: int, seed: int, actions: list[str]) -> Counter[str]:
    """Run the plan with so many kills, then to its end.

    The last recipe is held until all of them have happened: there is always something to kill.

    Returns:
        How often each thing happened.
    """
    chance = random.Random(seed)
    work = place / "work"
    # Some kills come while a process still imports.
    bench.anew = True
    happened: Counter[str] = Counter()
    final: dict[Path, int] = {}
    bench.hold()
    # Every kind happens; which one when, and how often in one go, is chance.
    kinds = list(actions)
    while kinds or happened.total() < kills:
        process = bench.start(work_dir=work)
        moment(process, work, chance)
        for _ in range(chance.randint(0, 4)):
            happened["kill run"] += strike(process, "kill run", place, chance)
            moment(process, work, chance)
        action = kinds[0] if kinds else chance.choice(actions)
        if strike(process, action, place, chance):
            happened[action] += 1
            kinds = kinds[1:]
        end(process, chance)
        check_ended(process)
        check_kept(work, final)
    bench.let_go()
    for _ in range(5):
        process = bench.start(work_dir=work)
        check_ended(process)
        check_kept(work, final)
        if process.returncode == 0:
            return happened
    raise AssertionError(f"it does not come to its end:\n{process.said()}")


def moment(process: Spoken, work: Path, chance: random.Random) -> None:
    """Wait for some moment: mostly until there is some progress, sometimes just some seconds."""
    if chance.random() < 0.2:
        time.sleep(chance.uniform(0, 10))
        return
    # Runs that are held make no progress; nor does a harness that has nothing else left.
    end = time.monotonic() + (chance.uniform(0, 10) if only_held(work) else chance.uniform(10, 60))
    goal = updates(work) + chance.randint(1, 20)
    while updates(work) < goal and time.monotonic() < end and process.poll() is None:
        time.sleep(chance.uniform(0, 0.2))


def only_held(work: Path) -> bool:
    """Whether all runs but those that wait to be let go are done."""
    done = 0
    for path in work.glob("runs/*/result.json"):
        # A run that is taken up again removes it.
        with contextlib.suppress(FileNotFoundError):
            done += '"status": "done"' in path.read_text()
    return done == len([name for name in RUNS if not name.startswith("breaks")])


def updates(work: Path) -> int:
    """Updates that all runs have done, as far as they say."""
    return sum(json.loads(path.read_text())["iteration"] for path in work.glob("runs/*/progress.json"))


def strike(process: Spoken, action: str, place: Path, chance: random.Random) -> int:
    """Do one thing to a benchmark that is under way; 0 if it was too late for that."""
    try:
        harness = psutil.Process(process.pid)
        family = harness.children(recursive=True)
    except psutil.NoSuchProcess:
        return 0
    # A run's process leads its process group; the fork server and its helper do not.
    runs = [child for child in family if child.is_running() and getpgid(child) == child.pid]
    servers = [child for child in family if child not in runs and "forkserver" in " ".join(cmdline(child))]
    with contextlib.suppress(psutil.NoSuchProcess):
        if action == "kill harness":
            harness.kill()
        elif action == "terminate harness":
            harness.terminate()
        elif action == "ctrl-c":
            harness.send_signal(signal.SIGINT)
        elif action == "kill fork server" and servers:
            servers[0].kill()
        elif action == "kill run" and runs:
            chance.choice(runs).kill()
        elif action == FULL:
            filler = fill(place)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(2, 20))
            filler.unlink()
        else:
            return 0
        return 1
    return 0


def end(process: Spoken, chance: random.Random) -> None:
    """Let a harness that was spared work on for a while, then stop it for the next thing to happen."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(chance.uniform(1, 4))
    if process.poll() is None:
        process.send_signal(signal.SIGINT)


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def getpgid(process: psutil.Process) -> int:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return 0


def check_ended(process: Spoken) -> None:
    """Wait for a harness and for whatever it has left behind."""
    done = finish(process)
    # While Python still imports, a signal ends it before the harness has a say.
    early = (-signal.SIGKILL, -signal.SIGINT, -signal.SIGTERM)
    assert done.returncode in (0, 1, 130, *early), done.stdout + done.stderr
    # A second signal may meet the interpreter while it is torn down; Python says so and goes on.
    said = done.stderr.partition("Exception ignored in")[0]
    assert "Traceback" not in said or said.rstrip().endswith("KeyboardInterrupt"), done.stderr


def check_kept(work: Path, final: dict[Path, int]) -> None:
    """Final results stay as they were written, and every file is whole."""
    for path, stamp in final.items():
        assert path.stat().st_mtime_ns == stamp, f"{path} was written again"
    for path in work.glob("runs/*/result.json"):
        text = path.read_text()
        if '"status": "done"' in text or '"status": "diverged"' in text:
            final[path] = path.stat().st_mtime_ns


def without_times(path: Path) -> bytes:
    """results.csv without the columns that may differ, as bytes."""
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return frame.drop(columns=TIMES).to_csv(index=False).encode()


def compare(undisturbed: Path, disturbed: Path) -> None:
    """Hold that two work dirs have the same results, weights and best validations.

    Which of its earlier checkpoints a run has kept depends on where it was taken up; the last one is there.
    """
    assert without_times(disturbed / "results.csv") == without_times(undisturbed / "results.csv")
    for name in RUNS:
        one, other = undisturbed / "runs" / name, disturbed / "runs" / name
        last = (one / "last_checkpoint").read_text().rpartition("/")[2]
        common = {path.name for path in one.glob("*.pth")} & {path.name for path in other.glob("*.pth")}
        assert last in common, f"{other} does not hold {last}"
        for checkpoint in common:
            mine, theirs = weights(one / checkpoint), weights(other / checkpoint)
            assert mine.keys() == theirs.keys()
            assert all(torch.equal(mine[key], theirs[key]) for key in mine), other / checkpoint
        assert (one / "validations.json").exists() == (other / "validations.json").exists()
        if (one / "validations.json").exists():
            assert (one / "validations.json").read_bytes() == (other / "validations.json").read_bytes()


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=False)["state_dict"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=0.2, help="that an update takes at least")
    args = parser.parse_args()
    bench = Bench(args.folder)
    prepare(bench, args.iterations, args.seconds)
    bench.let_go()
    began = time.monotonic()
    bench.run(work_dir="undisturbed")
    print(f"undisturbed: {time.monotonic() - began:.0f} s", flush=True)
    with small_disk(args.folder / "disk") as mounted:
        actions = [*KILLS, FULL] if mounted else list(KILLS)
        began = time.monotonic()
        happened = disturb(bench, args.folder / "disk", args.kills, args.seed, actions)
        print(f"disturbed: {time.monotonic() - began:.0f} s, {happened.total()} times: {dict(happened)}")
        compare(args.folder / "undisturbed", args.folder / "disk" / "work")
    print("the results are the same")


if __name__ == "__main__":
    main()
