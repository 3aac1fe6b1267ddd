"""Stand-ins for COCO 2017 and Cityscapes: the rendered sets in exactly their layouts.

Any config for COCO or Cityscapes trains on them with its ``data_root`` changed and nothing else, so
that a whole command can be tried before tens of gigabytes are there. standin-coco has mini-coco's
images; it names its six kinds of shapes by six of COCO's 80 categories, with COCO's identifiers, and
lists all 80. standin-cityscapes has scenes as mini-cityscapes', in the folders of Cityscapes' own
cities. Neither has a test split: those of COCO and Cityscapes have no public labels.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from wrs_mm.datasets import mini_detection
from wrs_mm.datasets.check_coco import categories
from wrs_mm.datasets.mini import Rendering, scenes
from wrs_mm.datasets.mini_segmentation import Cities

_CATEGORIES = {
    "disc": "sports ball",
    "square": "tv",
    "triangle": "kite",
    "ring": "donut",
    "star": "teddy bear",
    "cross": "scissors",
}
"""Which of COCO's categories each kind of shape is called."""

SPLITS = ("train2017", "val2017")
"""The splits of mini-coco that standin-coco has."""

_TRAIN = (
    "aachen bochum bremen cologne darmstadt dusseldorf erfurt hamburg hanover jena krefeld monchengladbach "
    "strasbourg stuttgart tubingen ulm weimar zurich"
)

CITIES: Cities = {
    "train": dict.fromkeys(_TRAIN.split(), 14),
    "val": dict.fromkeys(("frankfurt", "lindau", "munster"), 20),
}
"""Cityscapes' cities; scenes of each in standin-cityscapes."""


def render_standins(root: Path, seed: int = 0) -> list[Path]:
    """Render standin-coco and standin-cityscapes below ``root``; complete ones are left as they are.

    Returns:
        The folders of the two sets.

    Raises:
        DatasetError: If a folder of that name holds something else.
    """
    sizes = {split: mini_detection.SPLITS[split] for split in SPLITS}
    detection = Rendering("standin-coco", _render_coco, mini_detection.split_files, sizes)
    return [
        rendering.write(Path(root), seed) for rendering in (detection, scenes("standin-cityscapes", CITIES))
    ]


def _render_coco(folder: Path, split: str, seed: int, advance: Callable[[], None]) -> None:
    """Render a split of mini-coco, then give its annotations COCO's categories."""
    mini_detection.render_split(folder, split, seed, advance)
    names = categories()
    identifiers = {name: identifier for identifier, name in names.items()}
    renamed = {
        index: identifiers[_CATEGORIES[shape]] for index, shape in enumerate(mini_detection.CLASSES, 1)
    }
    path = folder / "annotations" / f"instances_{split}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["categories"] = [{"id": identifier, "name": name} for identifier, name in names.items()]
    for annotation in content["annotations"]:
        annotation["category_id"] = renamed[annotation["category_id"]]
    path.write_text(json.dumps(content), encoding="utf-8")
