"""``wrs-mm probe``: the paper's two implicit biases, measured in a config's own network."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from wrs_mm.cli.argument_types import at_least_one
from wrs_mm.cli.train import add_config_argument, remedies
from wrs_mm.errors import ConfigError, NotFiniteError, OptionError, UsageError
from wrs_mm.files import write_json
from wrs_mm.openmmlab.configs import load_config
from wrs_mm.openmmlab.optional_packages import packages_named
from wrs_mm.openmmlab.synthetic import build_model, random_batch, smallest_size
from wrs_mm.probe import findings, tables
from wrs_mm.probe.batches import training_batches
from wrs_mm.probe.layers import chosen, named
from wrs_mm.probe.short_training import arm_of
from wrs_mm.probe.subject import Subject, make_subject
from wrs_mm.rescale_checkpoint import match_names, read_checkpoint
from wrs_mm.terminal import console_width, print_lines
from wrs_mm.values import error_line, type_name

_ARMS = ("none", "wd", "wrs", "scale_lr")
_SIZES = (64, 128, 256, 512)
_LR = 0.01
"""Where the recipe's optimizer is not SGD."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``wrs-mm probe``."""
    add_config_argument(parser)
    parser.add_argument("--out", type=Path, metavar="DIR", help="draw the pictures there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to a file")
    parser.add_argument(
        "--arms",
        nargs="+",
        default=list(_ARMS),
        metavar="ARM",
        help=f"regularizers to train with for weight noise (default: {' '.join(_ARMS)})",
    )
    parser.add_argument(
        "--layer",
        action="append",
        default=[],
        metavar="NAME",
        help="look at the patches of this layer; may be given several times (default: a sample of layers)",
    )
    parser.add_argument(
        "--layers", type=at_least_one, default=6, metavar="N", help="how many to sample (%(default)s)"
    )
    parser.add_argument(
        "--updates", type=at_least_one, default=20, metavar="N", help="of each short training (%(default)s)"
    )
    parser.add_argument(
        "--halvings", type=at_least_one, default=3, metavar="N", help="of the learning rate (%(default)s)"
    )
    parser.add_argument(
        "--lr",
        type=float,
        help="learning rate of SGD and of the short trainings "
        "(default: the recipe's, constant; 0.01 for SGD where the recipe has another optimizer)",
    )
    parser.add_argument(
        "--dataset", action="store_true", help="batches of the config's training data, not made-up ones"
    )
    parser.add_argument("--checkpoint", metavar="FILE", help="weights, in place of random ones")
    parser.add_argument(
        "--size",
        type=at_least_one,
        metavar="PIXELS",
        help="height and width of made-up images (default: the smallest of 64, 128, 256, 512 that the model "
        "takes)",
    )
    parser.add_argument("--batch-size", type=at_least_one, default=4, help="number of images (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and data (%(default)s)")


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        UsageError: The config cannot be read, built or run, nothing of its model is scale-invariant, or an
            option does not fit.
        NotFiniteError: A loss is not finite.
    """
    _check(args)
    config = load_config(args.config)
    for arm in args.arms:
        arm_of(config, arm)
    model = build_model(config, seed=args.seed)
    if args.checkpoint:
        _load(model, args)
    subject = _subject(args, config, model)
    layers = named(subject, args.layer) if args.layer else chosen(subject, args.layers)
    lr = args.lr if args.lr is not None else _recipe_lr(config)
    total = findings.updates_in_all(args.updates, args.halvings, len(args.arms))
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task("updates", total=total)

        def advance(updates: int) -> None:
            bar.advance(task, updates)

        orthogonality = findings.probe_orthogonality(subject, lr, args.updates, advance)
        growth = findings.probe_growth(subject, lr, args.updates, args.halvings, advance)
        noise = findings.probe_noise(subject, config, args.arms, layers, args.updates, args.lr, advance)
    console = Console() if Console().is_terminal else Console(width=200)
    width = console_width(console)
    for lines in (
        tables.orthogonality_lines(orthogonality, width),
        tables.growth_lines(growth, width),
        tables.noise_lines(noise, width),
    ):
        print_lines(console, lines)
        console.print()
    kind = str(subject.dtype).removeprefix("torch.")
    for sentence in [f"Computed in {kind}.", *tables.summary(orthogonality, growth)]:
        console.print(sentence, highlight=False)
    if args.out is not None:
        _draw(args.out, orthogonality, growth, noise)
    if args.json is not None:
        content = {
            "config": str(args.config),
            "dtype": kind,
            "lr": lr,
            "orthogonality": tables.plain(orthogonality),
            "growth": tables.plain(growth),
            "noise": tables.plain(noise),
        }
        write_json(args.json, content)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Check what is known before anything is built."""
    if args.updates < 2:
        raise OptionError("--updates must be at least 2")
    if args.lr is not None and not 0 < args.lr < float("inf"):
        raise OptionError(f"--lr must be a number > 0, not {args.lr:g}")
    if args.dataset and args.size is not None:
        raise OptionError("--size is of made-up images: leave it or --dataset out")
    if not 0 <= args.seed < 2**32:
        raise OptionError(f"--seed must be a whole number from 0, not {args.seed}")
    if args.json is not None and args.json.is_dir():
        raise OptionError(f"--json: {args.json} is a folder")
    if args.json is not None and not args.json.resolve().parent.is_dir():
        raise OptionError(f"--json: there is no folder {args.json.parent}")
    if args.out is not None:
        existing = next(folder for folder in (args.out, *args.out.absolute().parents) if folder.exists())
        if not existing.is_dir():
            raise OptionError(f"--out: {existing} is no folder")


def _load(model: nn.Module, args: argparse.Namespace) -> None:
    """Put a checkpoint's weights into the model."""
    content = read_checkpoint(args.checkpoint)
    state = content.get("state_dict", content)
    misfit = f"checkpoint {args.checkpoint} does not fit the model of {args.config}"
    names = match_names(state, model.state_dict(), misfit)
    model.load_state_dict({name: state[key] for key, name in names.items()}, strict=False)


def _subject(args: argparse.Namespace, config: Any, model: nn.Module) -> Subject:
    """The model and one batch for each update of a short training, and one more that it does not see."""
    try:
        with packages_named(config):
            if args.dataset:
                with remedies():
                    batches = training_batches(config, args.updates + 1, args.batch_size, args.seed)
            else:
                size = (
                    (args.size, args.size)
                    if args.size
                    else smallest_size(model, sizes=_SIZES, seed=args.seed)
                )
                batches = [
                    random_batch(model, batch_size=args.batch_size, size=size, seed=args.seed + number)
                    for number in range(args.updates + 1)
                ]
            return make_subject(model, batches)
    except (UsageError, NotFiniteError):
        raise
    except Exception as error:  # the model is a third party's: whatever it raises, it cannot be probed so
        advice = "; try a larger --size" if args.size else ""
        raise ConfigError(
            f"the loss of {args.config} cannot be computed{advice}: {error_line(error)}"
        ) from error


def _recipe_lr(config: Any) -> float:
    """The recipe's learning rate, if it is one of SGD."""
    optimizer = config.optim_wrapper.optimizer
    return float(optimizer.get("lr", _LR)) if type_name(optimizer.get("type")) == "SGD" else _LR


def _draw(folder: Path, orthogonality: Any, growth: Any, noise: Any) -> None:
    from wrs_mm.probe import figures

    folder.mkdir(parents=True, exist_ok=True)
    figures.draw_orthogonality(orthogonality, folder / "orthogonality.png")
    figures.draw_growth(growth, folder / "growth.png")
    figures.draw_noise(noise, folder / "noise.png")
