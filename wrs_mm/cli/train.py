"""``wrs-mm train``, and what it shares with ``wrs-mm test`` and ``wrs-mm config``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.config import DictAction

from wrs_mm import regularizers
from wrs_mm.errors import DatasetError, OptionError
from wrs_mm.openmmlab.configs import config_path, load_config
from wrs_mm.openmmlab.training import LAUNCHERS, train

if TYPE_CHECKING:
    from mmengine.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of :func:`wrs_mm.openmmlab.training.train`, with OpenMMLab's names."""
    add_config_argument(parser)
    add_arm_argument(parser)
    add_runner_arguments(parser)
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by the batch size, as the config's auto_scale_lr says",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="go on from this checkpoint; without a name, from the last good one in the work dir",
    )
    parser.add_argument(
        "--pretrained",
        metavar="CHECKPOINT",
        help="start the backbone from this checkpoint, of a backbone or of a model that has one",
    )
    parser.add_argument(
        "--allow-partial",
        action="store_true",
        help="train although most of a pretrained backbone did not match its checkpoint",
    )
    parser.add_argument(
        "--unprotected",
        action="store_true",
        help="train as OpenMMLab does: killed and resumed, it is another training",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    of_arm = arm_options(args)
    options = vars(args)
    config, arm, _ = (options.pop(name) for name in ("config", "arm", "options"))
    options["protected"] = not options.pop("unprotected")
    if options["protected"]:
        options["check"] = _check_data
    with remedies():
        train(load_arm(config, arm, of_arm) if arm else config, **options)
    return 0


def _check_data(config: Config) -> None:
    """Check that the data that a training reads is there.

    Raises:
        DatasetError: It is not.
    """
    from wrs_mm.datasets.layout import require_dataset

    require_dataset(config, ("train", "val"))


def load_arm(recipe: str, name: str, options: Mapping[str, Any] | None = None) -> Config:
    """Read a recipe and make it the arm, which trains where its overlay would: in ``work_dirs/RECIPE_ARM``.

    Args:
        recipe: The recipe.
        name: The regularizer.
        options: Its options; an arm that has some trains in a folder of its own.

    Raises:
        ConfigError: The recipe cannot be read.
        OptionError: The arm does not go with the recipe, or the recipe's own options for it do not exist.
    """
    options = options or {}
    config = regularizers.apply_regularizer(load_config(recipe), name, **options)
    if config.get("work_dir") is None:
        # Of an import path the function's name, as tables call it.
        arm = "-".join(
            [name.rpartition(".")[2], *(f"{key}={value}" for key, value in sorted(options.items()))]
        )
        safe = re.sub(r"[^A-Za-z0-9._=+-]", "-", f"{config_path(recipe).stem}_{arm}")
        config.work_dir = str(Path("work_dirs") / safe)
    return config


def add_config_argument(parser: argparse.ArgumentParser) -> None:
    """Add the config."""
    parser.add_argument("config", help="config file, or mmdet::NAME, mmseg::NAME, or the name of one of ours")


def add_arm_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--arm`` and its ``--options``."""
    parser.add_argument(
        "--arm",
        type=_arm,
        metavar="ARM",
        help="take the config as a recipe, and this arm of it, "
        f"{', '.join(regularizers.names())} or package.module.function; --cfg-options come after it",
    )
    add_options_argument(parser)


def _arm(name: str) -> str:
    """The name of a regularizer, or an import path."""
    if name not in regularizers.names() and "." not in name:
        choices = ", ".join(regularizers.names())
        raise argparse.ArgumentTypeError(
            f"invalid choice: {name!r} (choose from {choices}, or one of yours: package.module.function)"
        )
    return name


def add_options_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--options``."""
    parser.add_argument(
        "--options",
        nargs="+",
        action=_OptionAction,
        metavar="NAME=VALUE",
        help="options of the regularizer, such as target=init, and lr; over those that the recipe gives it",
    )


def arm_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options that the command line gives an arm.

    Raises:
        OptionError: It names no arm.
    """
    if args.options and args.arm is None:
        raise OptionError("--options are the arm's: give --arm (for keys of the config: --cfg-options)")
    return args.options or {}


def add_cfg_options_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=_OptionAction,
        metavar="KEY=VALUE",
        help='override config keys, such as optim_wrapper.optimizer.lr=0.01 or key="[a,b]"',
    )


def add_runner_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what training and testing share."""
    parser.add_argument(
        "--work-dir",
        help="folder for logs and checkpoints (default: the config's, or work_dirs/CONFIG)",
    )
    add_cfg_options_argument(parser)
    parser.add_argument(
        "--launcher", choices=list(LAUNCHERS), default="none", help="how processes are started"
    )
    # torch.distributed.launch spells it with a hyphen since PyTorch 2.0.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)


@contextmanager
def remedies() -> Iterator[None]:
    """Where one of our own datasets is missing, say which command makes it.

    Raises:
        DatasetError: The same, with the command.
    """
    try:
        yield
    except DatasetError as error:
        from wrs_mm.datasets.layout import with_remedy

        raise with_remedy(error) from error


class _OptionAction(DictAction):
    """Take ``KEY=VALUE`` as mmengine does, with its failures as errors of the argument."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        try:
            super().__call__(parser, namespace, values, option_string)
        except (ValueError, AssertionError) as error:
            text = " ".join(values)
            raise argparse.ArgumentError(self, f"{text!r} is not KEY=VALUE") from error
