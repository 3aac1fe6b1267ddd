"""What pyproject.toml cannot say: the wheel carries recipes, plans and scripts, where OpenMMLab's tools look.

A wheel has them in ``wrs_mm/.mim``, as those of mmdet and mmseg do. A checkout has them beside the package,
where editable installs find them too, and nothing is copied there.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent

CARRIED = (
    "model-index.yml",
    "configs/**/*.py",
    "configs/**/*.y*ml",
    # The scripts that have OpenMMLab's names; others in that folder are for work on a checkout.
    "tools/train.py",
    "tools/test.py",
    "tools/dist_*.sh",
    "tools/slurm_*.sh",
    "tools/launch.sh",
    "tools/torchrun.py",
)
"""What goes into the wheel."""


class BuildWithMim(build_py):
    """Copies what the wheel carries into the build."""

    def run(self) -> None:
        """Build the package, then add ``.mim``."""
        super().run()
        if self.editable_mode:
            return
        for pattern in CARRIED:
            for source in sorted(ROOT.glob(pattern)):
                target = Path(self.build_lib, "wrs_mm", ".mim", source.relative_to(ROOT))
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)


# Not in the checkout: from there, what an older build has left would get into the next wheel.
build = tempfile.mkdtemp(prefix="wrs-mm-build-")
atexit.register(shutil.rmtree, build, ignore_errors=True)

setup(
    cmdclass={"build_py": BuildWithMim},
    options={"build": {"build_base": build}, "egg_info": {"egg_base": build}},
)
