"""What in the toolboxes' last releases keeps a model family from running, mended on import.

mmdet 3.3.0, SSD: the head makes no ``loss_cls``, which the prediction of every dense head looks at; it
trains, and fails at its first validation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def _give_ssd_head_a_loss(module: ModuleType) -> None:
    """None is no loss of one of the kinds that prediction asks for."""
    if not hasattr(module.SSDHead, "loss_cls"):
        module.SSDHead.loss_cls = None


_FIXES: Mapping[str, Callable[[ModuleType], None]] = {
    "mmdet.models.dense_heads.ssd_head": _give_ssd_head_a_loss,
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
