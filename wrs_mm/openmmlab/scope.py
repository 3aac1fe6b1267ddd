"""``_base_ = 'wrs_mm::coco/….py'`` in a config of anybody's project.

mmengine 0.10 reads such bases from a fixed list of packages. It looks for a package where its distribution
says that it lies, which for an editable install is a folder without the package, and gives all that is
inherited the package's scope; our configs say of each type which toolbox it is from, and ours is none.

For each base of a toolbox it reads all metafiles of that toolbox, which takes a quarter of a second; here it
does so once for a base.
"""

from __future__ import annotations

import functools

from wrs_mm.openmmlab.carried import SCOPE
from wrs_mm.openmmlab.configs import config_path


def know_own_scope() -> None:
    """Make mmengine's configs know ``wrs_mm::``; such a base is what the path of its file would be.

    May be called any number of times.
    """
    from mmengine.config import Config
    from mmengine.config.utils import MODULE2PACKAGE

    # For mmengine.hub, which looks in .mim of installed packages.
    MODULE2PACKAGE[SCOPE] = SCOPE
    find = Config._get_cfg_path
    if hasattr(find, "__wrapped__"):
        return

    @functools.cache
    def find_installed(cfg_path: str) -> tuple[str, str | None]:
        return find(cfg_path, "")

    @functools.wraps(find)
    def find_ours_too(cfg_path: str, filename: str) -> tuple[str, str | None]:
        if cfg_path.startswith(f"{SCOPE}::"):
            return str(config_path(cfg_path)), None
        return find_installed(cfg_path) if "::" in cfg_path else find(cfg_path, filename)

    Config._get_cfg_path = staticmethod(find_ours_too)
