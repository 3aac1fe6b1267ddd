"""``wrs-mm tools``: the folder of the scripts, for a shell to put a name after it."""

from __future__ import annotations

import os
from pathlib import Path

from wrs_mm.cli import main


def test_the_folder_has_the_launchers(capsys):
    assert main.main(["tools"]) == 0
    folder = Path(capsys.readouterr().out.removesuffix("\n"))
    for script in ("dist_train.sh", "dist_test.sh", "slurm_train.sh", "slurm_test.sh"):
        assert os.access(folder / script, os.X_OK)
