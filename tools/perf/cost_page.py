"""What weight rescaling costs, and where the time goes: the tables of docs/cost.md.

    python tools/perf/cost_page.py [--into docs/cost.md]

Ratios are medians of interleaved calls in one process; the profile is PyTorch's own, of many rescales of
ResNet-50's convolutions. Run it where nothing else runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from import_cost import CONFIG, PARTS, measure
from marked import print_or_write, require_place
from step_cost import RATIOS, resnet50_steps, step_costs
from torch.autograd import DeviceType

THREADS = (1, 2)

TOOLBOXES = ("mmengine", "mmcv", "mmdet", "mmseg")
"""Counted together: what their modules take alone, without what they import."""

PROFILED = ("rescale", "SGD with weight decay", "SGD with WRS")
"""Of which the page says where their time goes."""


def steps_table(repeats: int) -> list[str]:
    """Milliseconds and ratios of a step's parts, by threads."""
    by_threads = {}
    for threads in THREADS:
        torch.set_num_threads(threads)
        by_threads[threads] = step_costs(repeats)
    head = [f"{threads} thread{'s' * (threads > 1)}" for threads in THREADS]
    lines = [f"| | {' | '.join(head)} |", "| :-- |" + " --: |" * len(THREADS)]
    for name in by_threads[THREADS[0]]:
        times = " | ".join(f"{by_threads[threads][name] * 1e3:.2f} ms" for threads in THREADS)
        lines.append(f"| {name} | {times} |")
    for name, reference in RATIOS:
        ratios = " | ".join(f"{costs[name] / costs[reference]:.2f}" for costs in by_threads.values())
        lines.append(f"| {name} ÷ {reference} | {ratios} |")
    return lines


def profile_table(name: str, repeats: int, least: float = 0.02) -> list[str]:
    """The operations of one of the steps by their own time, those below a share of it together."""
    torch.set_num_threads(1)
    step = resnet50_steps()[name]
    step()
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as found:
        for _ in range(repeats):
            step()
    events = [event for event in found.key_averages() if event.device_type == DeviceType.CPU]
    total = sum(event.self_cpu_time_total for event in events)
    lines = [f"| operation of {name} | calls | its own time, ms | share |", "| :-- | --: | --: | --: |"]
    rest, calls = 0.0, 0.0
    for event in sorted(events, key=lambda event: -event.self_cpu_time_total):
        if event.self_cpu_time_total < least * total:
            rest, calls = rest + event.self_cpu_time_total, calls + event.count
            continue
        lines.append(_profile_row(f"`{event.key}`", event.count, event.self_cpu_time_total, total, repeats))
    lines.append(_profile_row("all others", calls, rest, total, repeats))
    return lines


def _profile_row(name: str, calls: float, microseconds: float, total: float, repeats: int) -> str:
    each = microseconds / repeats / 1e3
    return f"| {name} | {calls / repeats:.0f} | {each:.2f} | {100 * microseconds / total:.0f} % |"


def import_table(repeats: int, most: int = 8) -> list[str]:
    """Seconds of the CPU until a recipe's model is built, by package."""
    shares, imports, build = measure(CONFIG, repeats)
    lines = ["| | seconds of the CPU |", "| :-- | --: |"]
    ours = shares.pop("wrs_mm", 0.0)
    toolboxes = sum(shares.pop(name, 0.0) for name in TOOLBOXES)
    named = sorted(shares.items(), key=lambda one: -one[1])[:most]
    for package, seconds in named:
        part = " (a part of PyTorch)" if package in PARTS else ""
        lines.append(f"| {package}{part} | {seconds:.2f} |")
    rest = imports - ours - toolboxes - sum(seconds for _, seconds in named)
    lines.append(f"| {', '.join(TOOLBOXES)} themselves | {toolboxes:.2f} |")
    lines += [f"| wrs_mm | {ours:.2f} |", f"| all others | {rest:.2f} |", f"| all imports | {imports:.2f} |"]
    lines.append(f"| building the model | {build:.2f} |")
    return lines


def page(repeats: int) -> str:
    """All tables."""
    parts = [
        f"PyTorch {torch.__version__} on a CPU, medians of {repeats}.",
        "\n".join(steps_table(repeats)),
        "Where their time goes (one thread; measuring it makes small operations look larger):",
        *("\n".join(profile_table(name, repeats)) for name in PROFILED),
        f"What beginning a run of `{CONFIG.stem}` costs:",
        "\n".join(import_table(3)),
    ]
    return "\n\n".join(parts)


def main() -> None:
    """Measure, and print or write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=50, help="counted calls of each (default: 50)")
    parser.add_argument("--into", type=Path, help="the page whose tables are written anew")
    args = parser.parse_args()
    require_place(args.into, "cost")
    print_or_write(page(args.repeats), args.into, "cost")


if __name__ == "__main__":
    main()
