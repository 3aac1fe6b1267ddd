"""Weight rescaling for OpenMMLab, and a benchmark of weight regularizers.

``import wrs_mm`` makes mmdet and mmseg importable on mmcv-lite and on today's PyTorch, and registers
the optimizer wrappers, optimizers and layers with mmengine. It imports neither toolbox itself.
"""

from __future__ import annotations

from wrs_mm import classification, engine, layers
from wrs_mm.openmmlab import prepare

__all__ = ["__version__", "classification", "engine", "layers"]
__version__ = "0.1.0"

prepare()
