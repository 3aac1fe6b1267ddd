"""What OpenMMLab needs to run on today's PyTorch, and on made-up data.

:func:`prepare` makes mmdet and mmseg importable on mmcv-lite; ``import wrs_mm`` calls it. The rest
reads configs, builds models, makes batches, trains and tests.
"""

from __future__ import annotations

import warnings

from wrs_mm.openmmlab.configs import load_config

__all__ = ["load_config", "prepare"]


def prepare() -> None:
    """Make the OpenMMLab packages work here, without importing a toolbox.

    mmcv gets its operators, mmengine loads checkpoints under ``weights_only`` and writes them
    whole, lays a config out once, launches on CPUs, knows the hooks that protect a training, and finds our
    configs as ``wrs_mm::…``; what is broken in a toolbox is mended.
    May be called any number of times.
    """
    import wrs_mm.openmmlab.protection  # noqa: F401
    from wrs_mm.openmmlab.checkpoints import load_safely, save_atomically
    from wrs_mm.openmmlab.config_layout import lay_out_once
    from wrs_mm.openmmlab.distributed import launch_on_cpu
    from wrs_mm.openmmlab.mmcv_ops import provide_mmcv_ext
    from wrs_mm.openmmlab.scope import know_own_scope
    from wrs_mm.openmmlab.toolbox_fixes import fix_toolboxes

    # mmengine 0.10 reloads pkg_resources with every config of a toolbox, and warns each time.
    warnings.filterwarnings("ignore", message="pkg_resources is deprecated as an API")
    provide_mmcv_ext()
    load_safely()
    save_atomically()
    launch_on_cpu()
    lay_out_once()
    know_own_scope()
    fix_toolboxes()
