"""model-index.yml, which mim and mmengine read, says of each recipe what is so, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from arms import ROOT

from wrs_mm import regularizers
from wrs_mm.openmmlab.carried import carried_recipes
from wrs_mm.openmmlab.configs import load_config

OVERLAYS = tuple(f"_{arm}" for arm in regularizers.names())
SHORT = {"ImageNet-1k": "in1k"}
"""What names of recipes call a data set, where it is not its own."""
FILES = yaml.safe_load((ROOT / "model-index.yml").read_text(encoding="utf-8"))["Import"]
METAFILES = [yaml.safe_load((ROOT / file).read_text(encoding="utf-8")) for file in FILES]
MODELS = [model for metafile in METAFILES for model in metafile["Models"]]


def test_every_recipe_is_listed_once() -> None:
    listed = [model["Config"] for model in MODELS]
    recipes = [f"configs/{name}.py" for name in carried_recipes() if not name.endswith(OVERLAYS)]
    assert sorted(listed) == recipes, "give each recipe an entry in configs/metafile.yml"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model["Name"])
def test_what_it_says_of_a_recipe_is_so(model: dict) -> None:
    path = Path(model["Config"])
    assert model["Name"] == path.stem
    metadata = model["Metadata"]
    data = metadata.pop("Training Data")
    data = SHORT.get(data, data)
    assert data.lower() in (path.parent.name, *path.stem.split("_")[1:])
    loop = load_config(ROOT / path).train_cfg
    length = {"Epochs": loop["max_epochs"]} if "max_epochs" in loop else {"Iterations": loop["max_iters"]}
    assert metadata == length
    # There are no weights to download, and results stand where they are explained.
    assert model.keys() == {"Name", "In Collection", "Config", "Metadata"}
    collections = {entry["Name"]: entry for metafile in METAFILES for entry in metafile["Collections"]}
    assert (ROOT / collections[model["In Collection"]]["README"]).is_file()
