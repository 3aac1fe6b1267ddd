"""``wrs-mm train`` and ``wrs-mm test``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from wrs_mm.openmmlab.training import LAUNCHERS

if TYPE_CHECKING:
    pass


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of :func:`train`, with OpenMMLab's names."""
    parser.add_argument("config", help="config file, or mmdet::NAME or mmseg::NAME")
    _add_common_arguments(parser)
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
        help="go on from this checkpoint; without a name, from the last one in the work dir",
    )


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of :func:`test`, with OpenMMLab's names."""
    parser.add_argument("config", help="config file, or mmdet::NAME or mmseg::NAME")
    parser.add_argument("checkpoint", help="checkpoint file")
    _add_common_arguments(parser)
    parser.add_argument(
        "--out", help="a .pkl file for the predictions; of a segmentor, or a folder for label maps"
    )
    parser.add_argument("--show", action="store_true", help="show the predictions on the screen")
    parser.add_argument("--show-dir", help="folder for painted images")
    parser.add_argument("--wait-time", type=float, default=2, help="seconds an image is shown (default: 2)")
    parser.add_argument("--tta", action="store_true", help="augment at test time")


def _add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--work-dir",
        help="folder for logs and checkpoints (default: the config's, or work_dirs/CONFIG)",
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=_option_action(),
        metavar="KEY=VALUE",
        help='override settings, such as optim_wrapper.optimizer.lr=0.01 or key="[a,b]"',
    )
    parser.add_argument(
        "--launcher", choices=list(LAUNCHERS), default="none", help="how processes are started"
    )
    # torch.distributed.launch spells it with a hyphen since PyTorch 2.0.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)


def _option_action() -> type[argparse.Action]:
    """Take ``KEY=VALUE`` as mmengine does, with its failures as errors of the argument."""
    from mmengine.config import DictAction

    class OptionAction(DictAction):
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

    return OptionAction
