"""Stand-ins for COCO 2017, Cityscapes and ImageNet: the rendered sets in exactly their layouts.

Any config for one of them trains on them with its ``data_root`` changed and nothing else, so
that a whole command can be tried before tens of gigabytes are there. standin-coco has mini-coco's
images; it names its six kinds of shapes by six of COCO's 80 categories, with COCO's identifiers, and
lists all 80. standin-cityscapes has scenes as mini-cityscapes', in the folders of Cityscapes' own
cities; standin-imagenet has the shapes of mini-shapes, larger and of many sizes, in the folders of 20 of
ImageNet's 1000 classes. None has a test split: those of COCO, Cityscapes and ImageNet have no public labels.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from wrs_mm.datasets import mini_detection, mini_shapes
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


_SYNSETS = {
    "arrow": "n02879718",
    "chevron": "n04153751",
    "clover": "n03944341",
    "comb": "n03961711",
    "crescent": "n07753592",
    "drop": "n02782093",
    "dumbbell": "n03255030",
    "frame": "n03291819",
    "gear": "n03874293",
    "half_disc": "n03220513",
    "heart": "n03724870",
    "hexagon": "n03530642",
    "hook": "n03532672",
    "hourglass": "n03544143",
    "lens": "n03657121",
    "lightning": "n03804744",
    "sector": "n03271574",
    "spiral": "n03065424",
    "tee": "n03481172",
    "trapezoid": "n03637318",
}
"""Which of ImageNet's classes each shape is called: bow, screw, pinwheel, plate rack, banana, balloon, …"""

PER_CLASS = {"train": 10, "val": 3}
"""Images of each class in standin-imagenet."""

_SIDES = (96, 224)
"""Of its images, in pixels; the smallest and the largest width."""


def render_standins(root: Path, seed: int = 0) -> list[Path]:
    """Render standin-coco, standin-cityscapes and standin-imagenet below ``root``, where they are not there.

    Returns:
        The folders of the sets.

    Raises:
        DatasetError: If a folder of that name holds something else.
    """
    sizes = {split: mini_detection.SPLITS[split] for split in SPLITS}
    detection = Rendering("standin-coco", _render_coco, mini_detection.split_files, sizes)
    by_class = Rendering(
        "standin-imagenet",
        _render_imagenet,
        _imagenet_files,
        {split: count * len(_SYNSETS) for split, count in PER_CLASS.items()},
    )
    return [
        rendering.write(Path(root), seed)
        for rendering in (detection, scenes("standin-cityscapes", CITIES), by_class)
    ]


def _imagenet_files(split: str) -> list[str]:
    """The paths of a split's images, class by class, named as ImageNet names them."""
    count = PER_CLASS[split]
    names = []
    for place, synset in enumerate(_SYNSETS.values()):
        for index in range(count):
            number = place * count + index + 1
            name = f"{synset}_{index}" if split == "train" else f"ILSVRC2012_val_{number:08d}"
            names.append(f"{split}/{synset}/{name}.JPEG")
    return names


def _render_imagenet(folder: Path, split: str, seed: int, advance: Callable[[], None]) -> None:
    """Write a split of standin-imagenet; images are wider than high, as most photographs are."""
    kinds = [kind for kind in _SYNSETS for _ in range(PER_CLASS[split])]
    for index, (kind, name) in enumerate(zip(kinds, _imagenet_files(split), strict=True)):
        rng = np.random.default_rng([seed, 3, list(PER_CLASS).index(split), index])
        side = int(rng.integers(*_SIDES))
        pixels = mini_shapes.render_image(rng, kind, side)
        low = side // 8
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        # OpenCV goes by the ending, and knows no capital letters.
        encoded = cv2.imencode(".jpg", pixels[low : side - low])[1]
        (folder / name).write_bytes(encoded.tobytes())
        advance()


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
