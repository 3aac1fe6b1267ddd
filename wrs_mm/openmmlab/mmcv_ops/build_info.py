"""What ``mmcv.utils.collect_env`` prints in place of the versions that compiled mmcv."""

from __future__ import annotations


def get_compiler_version() -> str:
    """Name the C++ compiler of mmcv's operators: there was none."""
    return "none (operators provided by wrs_mm)"


def get_compiling_cuda_version() -> str:
    """Name the CUDA version that compiled mmcv's operators: there was none."""
    return "none (operators provided by wrs_mm)"
