"""The module object that stands in for ``mmcv._ext``, and where it is put.

It names its functions but imports none of them: providing it costs no import of torch, torchvision
or mmcv. The implementations are imported when ``mmcv.ops`` first asks for one of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from wrs_mm.openmmlab.mmcv_ops.missing import MISSING_OPERATORS, missing_operator

NAME = "mmcv._ext"
"""The module that mmcv's compiled operators are expected in."""

IMPLEMENTED_IN = {
    "nms": "nms",
    "softnms": "nms",
    "nms_match": "nms",
    "bbox_overlaps": "bbox_overlaps",
    "roi_align_forward": "roi_align",
    "roi_align_backward": "roi_align",
    "roi_pool_forward": "roi_pool",
    "roi_pool_backward": "roi_pool",
    "deform_conv_forward": "deform_conv",
    "deform_conv_backward_input": "deform_conv",
    "deform_conv_backward_parameters": "deform_conv",
    "modulated_deform_conv_forward": "deform_conv",
    "modulated_deform_conv_backward": "deform_conv",
    "sigmoid_focal_loss_forward": "focal_loss",
    "sigmoid_focal_loss_backward": "focal_loss",
    "softmax_focal_loss_forward": "focal_loss",
    "softmax_focal_loss_backward": "focal_loss",
    "ms_deform_attn_forward": "ms_deform_attn",
    "ms_deform_attn_backward": "ms_deform_attn",
    "masked_im2col_forward": "masked_conv",
    "masked_col2im_forward": "masked_conv",
    "carafe_forward": "carafe",
    "carafe_backward": "carafe",
    "carafe_naive_forward": "carafe",
    "carafe_naive_backward": "carafe",
    "psamask_forward": "psa_mask",
    "psamask_backward": "psa_mask",
    "deform_roi_pool_forward": "deform_roi_pool",
    "deform_roi_pool_backward": "deform_roi_pool",
    "sync_bn_forward_mean": "sync_bn",
    "sync_bn_forward_var": "sync_bn",
    "sync_bn_forward_output": "sync_bn",
    "sync_bn_backward_param": "sync_bn",
    "sync_bn_backward_data": "sync_bn",
    "get_compiler_version": "build_info",
    "get_compiling_cuda_version": "build_info",
}
"""Each provided function and the file beside this one that implements it."""


class _Extension(ModuleType):
    """``mmcv._ext`` in Python. Attributes come into being when they are first asked for."""

    def __getattr__(self, name: str) -> Any:
        if name in IMPLEMENTED_IN:
            module = importlib.import_module(f".{IMPLEMENTED_IN[name]}", __package__)
            function = getattr(module, name)
        elif name in MISSING_OPERATORS:
            function = missing_operator(name)
        else:
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")
        setattr(self, name, function)
        return function

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *IMPLEMENTED_IN, *MISSING_OPERATORS})


class _ExtensionLoader(Loader):
    """The loader in the module's spec: import machinery that asks for one gets the same module."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Extension(spec.name, "mmcv's operators, provided by wrs_mm without compiling.")

    def exec_module(self, module: ModuleType) -> None:
        pass  # nothing to run: the functions are looked up on demand


def _search_path_of_mmcv() -> Sequence[str] | None:
    spec = importlib.util.find_spec("mmcv")  # mmcv is a top-level name: this imports nothing
    return None if spec is None else spec.submodule_search_locations


def provide_mmcv_ext() -> bool:
    """Make ``import mmcv.ops`` work where mmcv has no compiled extension.

    Call it before ``mmcv.ops`` is imported; mmcv itself is not imported. A second call changes
    nothing.

    Returns:
        True if ``mmcv._ext`` is the module of this package; False if there was nothing to do,
        because a compiled mmcv is installed (it is left alone) or mmcv is not installed at all.
    """
    if NAME in sys.modules:
        return isinstance(sys.modules[NAME], _Extension)
    path = _search_path_of_mmcv()
    if path is None or PathFinder.find_spec(NAME, path) is not None:
        return False
    # mmengine asks `pkgutil.find_loader('mmcv._ext')` and wants a spec with a loader.
    spec = ModuleSpec(NAME, _ExtensionLoader(), origin=__name__)
    sys.modules[NAME] = importlib.util.module_from_spec(spec)
    return True
