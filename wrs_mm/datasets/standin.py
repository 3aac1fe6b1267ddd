"""Stand-ins for COCO 2017 and Cityscapes: the rendered sets in exactly their layouts.

Any config for COCO or Cityscapes trains on them with its ``data_root`` changed and nothing else, so
that a whole command can be tried before tens of gigabytes are there. The images are those of the
mini sets. standin-coco names its six kinds of shapes by six of COCO's 80 categories, with COCO's
identifiers, and lists all 80; standin-cityscapes differs from mini-cityscapes by its name alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from wrs_mm.datasets import mini_detection, mini_segmentation
from wrs_mm.datasets.check_coco import categories
from wrs_mm.datasets.mini import Rendering

_CATEGORIES = {
    "disc": "sports ball",
    "square": "tv",
    "triangle": "kite",
    "ring": "donut",
    "star": "teddy bear",
    "cross": "scissors",
}
"""Which of COCO's categories each kind of shape is called."""


def render_standins(root: Path, seed: int = 0) -> list[Path]:
    """Render standin-coco and standin-cityscapes below ``root``; complete ones are left as they are.

    Returns:
        The folders of the two sets.

    Raises:
        DatasetError: If a folder of that name holds something else.
    """
    scenes = {split: sum(cities.values()) for split, cities in mini_segmentation.CITIES.items()}
    detection = Rendering("standin-coco", _render_coco, mini_detection.SPLITS)
    segmentation = Rendering("standin-cityscapes", mini_segmentation.render_segmentation, scenes)
    return [rendering.write(Path(root), seed) for rendering in (detection, segmentation)]


def _render_coco(folder: Path, seed: int, advance: Callable[[], None]) -> None:
    """Render mini-coco, then give its annotations COCO's categories."""
    mini_detection.render_detection(folder, seed, advance)
    names = categories()
    identifiers = {name: identifier for identifier, name in names.items()}
    renamed = {
        index: identifiers[_CATEGORIES[shape]] for index, shape in enumerate(mini_detection.CLASSES, 1)
    }
    for split in mini_detection.SPLITS:
        path = folder / "annotations" / f"instances_{split}.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["categories"] = [{"id": identifier, "name": name} for identifier, name in names.items()]
        for annotation in content["annotations"]:
            annotation["category_id"] = renamed[annotation["category_id"]]
        path.write_text(json.dumps(content), encoding="utf-8")
