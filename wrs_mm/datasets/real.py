"""The real sets: annotated images that come inside Python packages, cut into tiles.

real-neon: crowns of trees in airborne photographs of the NEON network, boxes drawn by hand, from the
``deepforest`` wheel (MIT). real-nuclei: a fluorescence image of cell nuclei with their masks, from the
``stardist`` wheel (BSD-3-Clause). pip fetches the wheels from wherever it is set up to fetch from and
checks their hashes. Train, val and test come from different regions of each image, so that no tile of
one shares a pixel with a tile of another.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wrs_mm.datasets import staging
from wrs_mm.errors import DatasetError

VERSION = 4
"""Raise it with every change to how tiles are cut: older sets are then made anew."""


@dataclass(frozen=True)
class _Wheel:
    """A wheel to fetch: one fixed file, whatever Python and machine this runs on."""

    project: str
    version: str
    sha256: str
    pip_options: tuple[str, ...]
    license: str
    license_file: str


_DEEPFOREST = _Wheel(
    project="deepforest",
    version="2.1.0",
    sha256="8c2798d8e9be7f0004b194fe207b76c1d9fff6e711b3db67b9508dcd5d00ae54",
    pip_options=(),
    license="MIT",
    license_file="deepforest-2.1.0.dist-info/licenses/LICENSE",
)
_STARDIST = _Wheel(
    project="stardist",
    version="0.9.2",
    sha256="2316c0feb7bd5621e7a277cb3868df475c338943c591925c420ee3622c42f023",
    pip_options=(
        "--platform=manylinux_2_28_x86_64",
        "--python-version=3.11",
        "--implementation=cp",
        "--abi=cp311",
    ),
    license="BSD-3-Clause",
    license_file="stardist-0.9.2.dist-info/licenses/LICENSE.txt",
)

TREE_ROWS = {
    "2019_YELL_2_528000_4978000_image_crop2": {
        "train2017": slice(0, 1320),
        "val2017": slice(1320, 1896),
        "test2017": slice(1896, 2472),
    },
    "2019_YELL_2_541000_4977000_image_crop": {
        "train2017": slice(0, 651),
        "val2017": slice(651, 843),
        "test2017": slice(843, 1035),
    },
}
"""The rows of each photograph that each split is cut from."""

_TREE_TILE = 192
_TREE_STRIDES = {"train2017": 96, "val2017": _TREE_TILE, "test2017": _TREE_TILE}
_MIN_VISIBLE = 0.5
"""A crown cut by the tile's border to less than this is a region to ignore, not an object."""

NUCLEI_COLUMNS = {"train": slice(0, 256), "val": slice(256, 384), "test": slice(384, 512)}
"""The columns of the picture that each split is cut from."""

NUCLEI_TILE = 64
"""Side of a tile in pixels; small, because what an interval over images is made of is images."""

NUCLEI_STRIDES = {"train": 16, "val": NUCLEI_TILE, "test": NUCLEI_TILE}
"""Pixels between tiles, by split."""

_ATTRIBUTION = """{name}: cut by wrs-mm from images in the Python package {project} {version}.
Source: https://pypi.org/project/{project}/{version}/ (sha256 of the wheel {sha256})
License of the package: {license}, text below.

{text}"""


def fetch_real(root: Path) -> list[Path]:
    """Fetch and cut real-neon and real-nuclei below ``root``; complete ones are left as they are.

    Returns:
        The folders of the two sets.

    Raises:
        DatasetError: If pip cannot fetch a wheel, or a folder of that name holds something else.
    """
    root = Path(root)
    return [
        _make(root / "real-neon", _DEEPFOREST, cut_trees),
        _make(root / "real-nuclei", _STARDIST, cut_nuclei),
    ]


def _make(folder: Path, wheel: _Wheel, cut: Callable[[zipfile.ZipFile, Path], None]) -> Path:
    """Make one set unless it is there."""
    manifest: dict[str, Any] = {
        "name": folder.name,
        "version": VERSION,
        "wheel": f"{wheel.project}=={wheel.version}",
        "sha256": wheel.sha256,
    }
    if staging.is_complete(folder, manifest):
        return folder

    def fill(path: Path) -> None:
        with (
            tempfile.TemporaryDirectory() as scratch,
            zipfile.ZipFile(_download(wheel, Path(scratch))) as archive,
        ):
            cut(archive, path)
            text = archive.read(wheel.license_file).decode()
        note = _ATTRIBUTION.format(
            name=folder.name,
            project=wheel.project,
            version=wheel.version,
            sha256=wheel.sha256,
            license=wheel.license,
            text=text,
        )
        (path / "LICENSE.txt").write_text(note, encoding="utf-8")

    staging.make(folder, manifest, fill)
    return folder


def _download(wheel: _Wheel, folder: Path) -> Path:
    """Let pip download one wheel, checked against its hash, and return its path."""
    requirement = f"{wheel.project}=={wheel.version}"
    listing = folder / "requirements.txt"
    listing.write_text(f"{requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", *wheel.pip_options]
    command += [f"--dest={folder}", f"--requirement={listing}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise DatasetError(
            f"pip could not download {requirement}; check the network and pip's index settings"
            f" (pip said: {_last_error(done.stderr)})"
        )
    return wheels[0]


def _last_error(stderr: str) -> str:
    """Return the last line of pip's output that says what went wrong."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["nothing"])[-1].removeprefix("ERROR: ")


def tile_origins(height: int, width: int, tile: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield (top, left) of each whole tile of ``tile`` pixels that fits, row by row."""
    for top in range(0, height - tile + 1, stride):
        for left in range(0, width - tile + 1, stride):
            yield top, left


def clip_boxes(
    boxes: NDArray[np.float64], top: int, left: int, tile: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cut boxes to a tile.

    Args:
        boxes: Corners (x1, y1, x2, y2) in the photograph, shape (n, 4).
        top: First row of the tile.
        left: First column of the tile.
        tile: Side of the tile in pixels.

    Returns:
        The corners in the tile of those boxes that touch it, shape (m, 4), and the share of each
        that lies inside, shape (m,).
    """
    moved = boxes - np.array([left, top, left, top])
    cut = np.clip(moved, 0, tile)
    sides = np.maximum(cut[:, 2:] - cut[:, :2], 0)
    share = sides.prod(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return cut[share > 0], share[share > 0]


def cut_trees(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write the tree crowns in the format and layout of COCO 2017."""
    (folder / "annotations").mkdir()
    for split, stride in _TREE_STRIDES.items():
        (folder / split).mkdir()
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for stem, rows in TREE_ROWS.items():
            photograph = _decode(archive, f"deepforest/data/{stem}.png", cv2.IMREAD_COLOR)
            boxes = _voc_boxes(archive.read(f"deepforest/data/{stem}.xml"))
            first, last = rows[split].start, rows[split].stop
            for row, left in tile_origins(last - first, photograph.shape[1], _TREE_TILE, stride):
                top = first + row
                image: dict[str, Any] = {
                    "id": len(images) + 1,
                    "file_name": f"{len(images) + 1:012d}.png",
                    "width": _TREE_TILE,
                    "height": _TREE_TILE,
                }
                tile = photograph[top : top + _TREE_TILE, left : left + _TREE_TILE]
                cv2.imwrite(str(folder / split / image["file_name"]), tile)
                images.append(image)
                for annotation in _tree_annotations(boxes, top, left):
                    annotation.update(id=len(annotations) + 1, image_id=image["id"])
                    annotations.append(annotation)
        content = {
            "info": {"description": f"real-neon, cut by wrs-mm from {list(TREE_ROWS)}"},
            "licenses": [],
            "categories": [{"id": 1, "name": "tree", "supercategory": "plant"}],
            "images": images,
            "annotations": annotations,
        }
        path = folder / "annotations" / f"instances_{split}.json"
        path.write_text(json.dumps(content), encoding="utf-8")


def _tree_annotations(boxes: NDArray[np.float64], top: int, left: int) -> Iterator[dict[str, Any]]:
    """Yield the COCO annotations, without identifiers, of one tile of a photograph."""
    for corners, share in zip(*clip_boxes(boxes, top, left, _TREE_TILE), strict=True):
        x1, y1, x2, y2 = corners.tolist()
        yield {
            "category_id": 1,
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": int(share < _MIN_VISIBLE),
            "segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]],
        }


def cut_nuclei(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write the nuclei in the layout of Cityscapes, with two classes: background and nucleus."""
    picture = _decode(archive, "stardist/data/images/img2d.tif", cv2.IMREAD_UNCHANGED)
    instances = _decode(archive, "stardist/data/images/mask2d.tif", cv2.IMREAD_UNCHANGED)
    # The range of gray values is taken from the training side alone.
    low, high = np.percentile(picture[:, NUCLEI_COLUMNS["train"]], [0.5, 99.5])
    gray = np.clip((picture - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    labels = (instances > 0).astype(np.uint8)
    for split, columns in NUCLEI_COLUMNS.items():
        images = folder / "leftImg8bit" / split / "nuclei"
        maps = folder / "gtFine" / split / "nuclei"
        images.mkdir(parents=True)
        maps.mkdir(parents=True)
        side, side_labels = gray[:, columns], labels[:, columns]
        height, width = side.shape
        origins = tile_origins(height, width, NUCLEI_TILE, NUCLEI_STRIDES[split])
        for index, (top, left) in enumerate(origins):
            window = (slice(top, top + NUCLEI_TILE), slice(left, left + NUCLEI_TILE))
            stem = f"nuclei_{index:06d}_000019"
            cv2.imwrite(str(images / f"{stem}_leftImg8bit.png"), side[window])
            cv2.imwrite(str(maps / f"{stem}_gtFine_labelTrainIds.png"), side_labels[window])


def _decode(archive: zipfile.ZipFile, name: str, flags: int) -> NDArray[Any]:
    """Decode an image out of a wheel."""
    image = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), flags)
    if image is None:
        raise DatasetError(f"{name} in {archive.filename} cannot be read as an image")
    return image


def _voc_boxes(content: bytes) -> NDArray[np.float64]:
    """Read the boxes of a Pascal-VOC file: corners (x1, y1, x2, y2), shape (n, 4)."""
    corners = ("xmin", "ymin", "xmax", "ymax")
    return np.array(
        [
            [float(found.findtext(f"bndbox/{corner}", "nan")) for corner in corners]
            for found in ElementTree.fromstring(content).iter("object")
        ]
    )
