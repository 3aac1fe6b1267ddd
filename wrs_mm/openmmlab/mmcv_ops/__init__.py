"""mmcv's compiled operators without compiling mmcv.

mmdet and mmseg import ``mmcv.ops``, which needs the compiled module ``mmcv._ext``. mmcv-lite lacks
it, no wheel of full mmcv exists for PyTorch 2.5 or newer, and compiling it takes twenty minutes.
:func:`provide_mmcv_ext` puts a Python module with the same functions in its place: torchvision's
operators where they compute the same, plain torch elsewhere, so CPU and CUDA work alike.
"""

from __future__ import annotations

from wrs_mm.openmmlab.mmcv_ops.extension import provide_mmcv_ext
from wrs_mm.openmmlab.mmcv_ops.missing import MissingOperatorError

__all__ = ["MissingOperatorError", "provide_mmcv_ext"]
