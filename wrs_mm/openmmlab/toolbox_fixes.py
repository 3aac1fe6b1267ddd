"""What in the toolboxes' last releases keeps a model family from running, mended on import.

mmdet 3.3.0, SSD: the head makes no ``loss_cls``, which the prediction of every dense head looks at; it
trains, and fails at its first validation.

mmdet 3.3.0, masks on a CPU: one whose box lies outside the image is pasted to rows from behind its end to its
end, and the validation fails. Boxes that are not clipped are so, QueryInst's before it has learned much.

mmseg 1.2.2, SAN: part of its head is no BaseModule, and yet asks that for its initial weights where there is
no checkpoint of CLIP; and two weights of its text encoder are what the memory held before, NaN where PyTorch
is asked for deterministic algorithms.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


def _give_ssd_head_a_loss(module: ModuleType) -> None:
    """None is no loss of one of the kinds that prediction asks for."""
    if not hasattr(module.SSDHead, "loss_cls"):
        module.SSDHead.loss_cls = None


def _paste_no_mask_outside(module: Any) -> None:
    """There is nothing to paste."""
    paste = module._do_paste_mask
    if hasattr(paste, "__wrapped__"):
        return

    @functools.wraps(paste)
    def paste_inside(masks: Any, boxes: Any, img_h: int, img_w: int, skip_empty: bool = True) -> Any:
        if skip_empty:
            size = boxes.new_tensor([img_w, img_h])
            first = (boxes[:, :2].amin(dim=0).floor() - 1).clamp(min=0)
            end = (boxes[:, 2:].amax(dim=0).ceil() + 1).minimum(size)
            if bool((first > end).any()):
                return masks.new_zeros(len(masks), 0, 0), (slice(0, 0), slice(0, 0))
        return paste(masks, boxes, img_h, img_w, skip_empty)

    module._do_paste_mask = paste_inside


def _let_san_begin_without_clip(module: Any) -> None:
    """Its layers keep PyTorch's initial weights."""
    initialize = module.RecWithAttnbias.init_weights
    if hasattr(initialize, "__wrapped__"):
        return

    @functools.wraps(initialize)
    def initialize_from(self: Any, rec_state_dict: Any) -> None:
        if rec_state_dict is not None:
            initialize(self, rec_state_dict)

    module.RecWithAttnbias.init_weights = initialize_from


def _give_text_encoder_initial_weights(module: Any) -> None:
    """Those of CLIP's own code (Radford et al., 2021); a checkpoint replaces them."""
    encoder = module.CLIPTextEncoder
    if hasattr(encoder.__init__, "__wrapped__"):
        return

    @functools.wraps(encoder.__init__)
    def initialize(self: Any, *args: Any, **kwargs: Any) -> None:
        initialize.__wrapped__(self, *args, **kwargs)
        module.nn.init.normal_(self.positional_embedding, std=0.01)
        module.nn.init.normal_(self.text_projection, std=len(self.text_projection) ** -0.5)

    encoder.__init__ = initialize


_FIXES: Mapping[str, Callable[[ModuleType], None]] = {
    "mmdet.models.dense_heads.ssd_head": _give_ssd_head_a_loss,
    "mmdet.models.roi_heads.mask_heads.fcn_mask_head": _paste_no_mask_outside,
    "mmseg.models.decode_heads.san_head": _let_san_begin_without_clip,
    "mmseg.models.text_encoder.clip_text_encoder": _give_text_encoder_initial_weights,
}
"""By module, what mends it once it has been imported."""


class _FixingFinder(MetaPathFinder):
    """Finds the modules that have a fix where they are, and mends each after its import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _FIXES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_fix(module: ModuleType) -> None:
                execute(module)
                _FIXES[fullname](module)

            spec.loader.exec_module = execute_and_fix  # type: ignore[method-assign]
        return spec


def fix_toolboxes() -> None:
    """Mend what is imported from now on, and what has been already; a second call changes nothing."""
    if not any(isinstance(finder, _FixingFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _FixingFinder())
    for name, fix in _FIXES.items():
        if name in sys.modules:
            fix(sys.modules[name])
