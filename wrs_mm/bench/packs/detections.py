"""A detector's predictions as columns: a tenth of their JSON, and back to the same bytes.

MmDet writes what it computed in 32 bits with all the digits of 64. Here they are 32 bits again, the bytes
of one place side by side, which compress better: first those that hardly differ, last those that are noise.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

_TYPES: Mapping[str, type[np.generic]] = {
    "image_id": np.int64,
    "category_id": np.int64,
    "score": np.float32,
    **dict.fromkeys(("left", "top", "right", "bottom"), np.float32),
}
"""The columns. Of a box its corners: they are what the network's 32 bits were, not its width and height."""


def to_columns(text: bytes) -> bytes | None:
    """Detections as columns, in NumPy's format.

    Args:
        text: COCO's result format, as JSON.

    Returns:
        None where the text would not come back byte for byte: of masks, or of another writer than mmdet.
    """
    try:
        entries = json.loads(text)
        boxes = np.array([entry["bbox"] for entry in entries], dtype=np.float64).reshape(-1, 4)
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        found: dict[str, Any] = {
            key: [entry[key] for entry in entries] for key in ("image_id", "category_id", "score")
        }
        found |= dict(zip(("left", "top", "right", "bottom"), corners.T, strict=True))
        columns: dict[str, Any] = {
            key: _planes(np.array(found[key], dtype=kind)) for key, kind in _TYPES.items()
        }
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    content = io.BytesIO()
    np.savez(content, **columns)
    packed = content.getvalue()
    return packed if from_columns(packed) == text else None


def from_columns(packed: bytes) -> bytes:
    """The text that :func:`to_columns` was given.

    Raises:
        ValueError: These are no such columns.
    """
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as content:
            found = {key: _joined(content[key], kind) for key, kind in _TYPES.items()}
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise ValueError("these are no columns of detections") from None
    left, top, right, bottom = (found[key].astype(np.float64) for key in ("left", "top", "right", "bottom"))
    boxes = np.stack([left, top, right - left, bottom - top], axis=1).tolist()
    entries = [
        {"image_id": image, "bbox": box, "score": score, "category_id": category}
        for image, box, score, category in zip(
            found["image_id"].tolist(),
            boxes,
            found["score"].astype(np.float64).tolist(),
            found["category_id"].tolist(),
            strict=True,
        )
    ]
    return json.dumps(entries).encode()


def _planes(column: np.ndarray) -> np.ndarray:
    """The bytes of a column, ``(bytes of one value, values)``."""
    little = column.astype(column.dtype.newbyteorder("<"))
    return np.ascontiguousarray(little.view(np.uint8).reshape(len(column), column.itemsize).T)


def _joined(planes: np.ndarray, kind: type[np.generic]) -> np.ndarray:
    """The column with these bytes."""
    little = np.dtype(kind).newbyteorder("<")
    if planes.dtype != np.uint8 or planes.ndim != 2 or len(planes) != little.itemsize:
        raise ValueError("these are no columns of detections")
    joined: np.ndarray = np.ascontiguousarray(planes.T).view(little).reshape(-1)
    return joined
