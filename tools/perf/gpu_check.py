"""Try on a GPU everything that only a GPU can tell, and write one page about it: gpu_check.md.

Nobody of us had one. So whoever has needs one command, and the page says what holds::

    python tools/perf/gpu_check.py
    python tools/perf/gpu_check.py --device cpu --recipes 'mini/*' --size 64     # tries the script itself

Operators against the same on a CPU, weight rescaling against the same on a CPU, mixed precision, synchronized
BN, what a step costs, and two steps of every arm of every recipe. What fails is a line that says how, and the
rest goes on.
"""

from __future__ import annotations

import argparse
import copy
import fnmatch
import functools
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from gpu_operators import OPERATORS, Operator
from rich.progress import track
from step_cost import step_costs
from torch import Tensor, nn

import wrs_mm
from wrs_mm import regularizers
from wrs_mm.borrowed import seeded
from wrs_mm.errors import OptionError
from wrs_mm.files import write_text
from wrs_mm.openmmlab.carried import carried_recipes
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.synthetic import build_model, random_batch
from wrs_mm.rescaling import WeightRescaler
from wrs_mm.rescaling.functional import filter_norms
from wrs_mm.values import error_line

CLOSE = 1e-4
"""How far two float32 results may be apart, as a share of the largest number."""


class Check(NamedTuple):
    """Something to try.

    Attributes:
        part: The part of the page that it stands in.
        name: What is tried.
        run: Tries it and says in a few words what came out; raises where it fails.
    """

    part: str
    name: str
    run: Callable[[], str]


# -- operators ----------------------------------------------------------------------------------------


def _operator(operator: Operator, device: str) -> str:
    both = []
    for place in ("cpu", device):
        with seeded(0):
            both.append(operator(lambda tensor, place=place: tensor.to(place)))  # type: ignore[misc]
    return _compared(*both)


def _compared(expected: list[Tensor], found: list[Tensor]) -> str:
    """The largest difference, as a share of the largest number.

    Raises:
        AssertionError: It is too large.
    """
    apart = 0.0
    for one, other in zip(expected, found, strict=True):
        a, b = one.detach().cpu().double(), other.detach().cpu().double()
        assert a.shape == b.shape, f"{tuple(b.shape)} in place of {tuple(a.shape)}"
        assert torch.equal(a.isnan(), b.isnan()), "has NaN where the CPU has none, or the other way"
        a, b = a.nan_to_num(), b.nan_to_num()
        apart = max(apart, float((a - b).abs().max() / a.abs().max().clamp_min(1e-30)))
    assert apart < CLOSE, f"differs by {apart:.0e} from the CPU"
    return f"differs by {apart:.0e} from the CPU"


# -- the method ---------------------------------------------------------------------------------------


def _small() -> nn.Sequential:
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


def _trained(device: str, steps: int = 5, **options: str) -> list[Tensor]:
    """All weights and statistics of a small network after some steps with weight rescaling."""
    with seeded(0):
        model, images = _small(), torch.randn(steps, 4, 3, 16, 16)
    model = model.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
    rescaler = WeightRescaler(model, optimizer, **options)
    for batch in images.to(device):
        with rescaler.observing():
            loss = model(batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [value.float() for value in model.state_dict().values()]


def _rescaling(device: str, **options: str) -> str:
    return _compared(_trained("cpu", **options), _trained(device, **options))


def _mixed_precision(device: str) -> str:
    kind = torch.device(device).type
    model = _small().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    rescaler, scaler = WeightRescaler(model, optimizer), torch.amp.GradScaler(kind)
    dtype = torch.float16 if kind == "cuda" else torch.bfloat16
    for _ in range(5):
        with torch.autocast(kind, dtype=dtype), rescaler.observing():
            loss = model(torch.randn(4, 3, 16, 16, device=device)).square().mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    apart = max(float((filter_norms(m.weight) - 1).abs().max()) for m in model if isinstance(m, nn.Conv2d))
    assert apart < 1e-5, f"norms are off 1 by {apart:.0e}"
    return f"{dtype}: norms are off 1 by {apart:.0e}"


def _synchronized(rank: int, count: int, port: int) -> None:
    """In one of several processes: synchronized BN of a part of a batch is BN of the whole."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.cuda.set_device(rank)
    torch.distributed.init_process_group("nccl", rank=rank, world_size=count)
    with seeded(0):
        whole = torch.randn(4 * count, 8, 5, 5)
    part = nn.SyncBatchNorm(8).cuda()(whole.chunk(count)[rank].cuda())
    _compared([nn.BatchNorm2d(8)(whole).chunk(count)[rank]], [part])
    torch.distributed.destroy_process_group()


def _sync_bn(device: str) -> str:
    if torch.device(device).type != "cuda":
        return "not tried: it needs GPUs"
    count = min(2, torch.cuda.device_count())
    torch.multiprocessing.spawn(_synchronized, (count, 29500 + os.getpid() % 1000), nprocs=count)
    return f"{count} GPU" if count == 1 else f"{count} GPUs"


def _cost(device: str, repeats: int) -> str:
    costs = step_costs(repeats, device)
    listed = [f"{name} {1e3 * seconds:.2f} ms" for name, seconds in costs.items()]
    ratio = costs["SGD with WRS"] / costs["SGD with weight decay"]
    return f"{', '.join(listed)}; WRS / weight decay {ratio:.2f}"


# -- every arm of every recipe ------------------------------------------------------------------------


def _two_steps(recipe: str, arm: str, device: str, size: int) -> str:
    from mmengine.optim import build_optim_wrapper

    config = regularizers.apply_regularizer(load_config(recipe), arm)
    model = build_model(config).to(device)
    wrapper = build_optim_wrapper(model, copy.deepcopy(config.optim_wrapper))
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    began = time.monotonic()
    with seeded(1):
        for step in range(2):
            batch = random_batch(model, size=(size, size), seed=step, empty="first")
            loss = float(model.train_step(batch, wrapper)["loss"])
            assert math.isfinite(loss), f"the loss of step {step + 1} is {loss}"
    seconds = time.monotonic() - began
    if not torch.cuda.is_available():
        return f"{seconds:.1f} s"
    return f"{seconds:.1f} s, {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"


# -- the page -----------------------------------------------------------------------------------------


def checks(device: str, recipes: str, size: int, repeats: int) -> Iterator[Check]:
    """Everything that is tried."""
    for name, operator in OPERATORS.items():
        yield Check("Operators", name, functools.partial(_operator, operator, device))
    yield Check("Weight rescaling", "target 1", functools.partial(_rescaling, device))
    follows = "decay_and_growth_by_layer"
    matched = functools.partial(_rescaling, device, target="init_rms", target_schedule=follows)
    yield Check("Weight rescaling", "following weight decay", matched)
    yield Check("Weight rescaling", "mixed precision", functools.partial(_mixed_precision, device))
    yield Check("Weight rescaling", "synchronized BN", functools.partial(_sync_bn, device))
    yield Check("Weight rescaling", "cost of a step", functools.partial(_cost, device, repeats))
    arms = tuple(f"_{arm}" for arm in regularizers.names())
    for recipe in fnmatch.filter(carried_recipes(), recipes):
        if not recipe.endswith(arms):
            for arm in regularizers.names():
                run = functools.partial(_two_steps, recipe, arm, device, size)
                yield Check("Two steps of every arm", f"`{recipe}`, {arm}", run)


def outcome(check: Check) -> str:
    """What came out, or how it failed."""
    try:
        return check.run()
    except OptionError as error:
        return f"not for this recipe: {error}"
    except Exception as error:  # whatever fails is a line of the page
        return f"**failed**: {error_line(error)}"


def page(device: str, found: list[tuple[Check, str]]) -> str:
    """The page, in Markdown."""
    name = torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else platform.processor()
    failed = sum(text.startswith("**failed**") for _, text in found)
    lines = [
        "# What a GPU says",
        "",
        f"Written by `tools/perf/gpu_check.py`: wrs-mm {wrs_mm.__version__}, torch {torch.__version__}, "
        f"{name} ({device}). {len(found) - failed} of {len(found)} checks hold.",
    ]
    for part in dict.fromkeys(check.part for check, _ in found):
        rows = [f"| {check.name} | {text} |" for check, text in found if check.part == part]
        lines += ["", f"## {part}", "", "| | |", "|---|---|", *rows]
    return "\n".join([*lines, ""])


def _device(text: str) -> str:
    """A device's name; argparse says of another that it is none."""
    try:
        torch.device(text)
    except RuntimeError:
        raise argparse.ArgumentTypeError(f"{text} is no device; write cuda:0 or cpu") from None
    return text


def main() -> int:
    """Try everything and write the page.

    Returns:
        0 where all checks hold, else 1; 2 without a GPU.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", type=_device, default="cuda:0", help="default: cuda:0")
    parser.add_argument(
        "--recipes", default="c[io]*/*", help="which, with wildcards (default: COCO and Cityscapes)"
    )
    parser.add_argument("--size", type=int, default=256, help="of the images, in pixels (default: 256)")
    parser.add_argument("--repeats", type=int, default=50, help="of what is timed (default: 50)")
    parser.add_argument("--out", type=Path, default=Path("gpu_check.md"), help="default: gpu_check.md")
    args = parser.parse_args()
    if torch.device(args.device).type == "cuda" and not torch.cuda.is_available():
        print("gpu_check: error: PyTorch finds no GPU; --device cpu tries the script itself", file=sys.stderr)
        return 2
    listed = list(checks(args.device, args.recipes, args.size, args.repeats))
    found = []
    for check in track(listed, "Checking"):
        found.append((check, outcome(check)))
        write_text(args.out, page(args.device, found))
    failed = [check.name for check, text in found if text.startswith("**failed**")]
    print(f"{args.out}: {len(found) - len(failed)} of {len(found)} checks hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
