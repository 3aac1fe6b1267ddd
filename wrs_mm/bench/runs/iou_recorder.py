"""MmSeg's ``IoUMetric`` that also keeps what it counted, image by image."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.registry import METRICS
from mmseg.evaluation import IoUMetric

from wrs_mm.bench.runs.predictions import COUNTS, gallery
from wrs_mm.files import write_bytes


@METRICS.register_module()
class RecordingIoUMetric(IoUMetric):
    """mIoU, with the pixel counts of each image in ``val.npz`` and label maps of a few images as PNG.

    ``val.npz`` holds ``image_ids`` (paths below the images' common folder), ``intersect`` and ``union``
    ``(images, classes)``, ``classes`` (names), ``palette`` ``(classes, 3)``, and for the gallery
    ``gallery_ids`` and ``gallery_paths``. Label map number n is ``n.png``, the true one ``n.true.png``.

    Args:
        folder: Where they go.
        **kwargs: Those of ``IoUMetric``.
    """

    def __init__(self, folder: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.folder = Path(folder)
        self._chosen: list[str] = []

    def process(self, data_batch: dict[str, Any], data_samples: Sequence[dict[str, Any]]) -> None:
        """Count a batch; keep each image's path, and the label maps of the gallery's images so far."""
        before = len(self.results)
        super().process(data_batch, data_samples)
        for index, sample in enumerate(data_samples, start=before):
            path, maps = sample["img_path"], None
            self._chosen = gallery([*self._chosen, path])
            if path in self._chosen:
                maps = _labels(sample["pred_sem_seg"]), _labels(sample["gt_sem_seg"])
            # They travel to the main process with the counts, which keeps them in the data set's order.
            self.results[index] = (*self.results[index], path, maps)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """The metrics of ``IoUMetric``; writes the files first."""
        self._chosen = []
        self._write(results)
        return super().compute_metrics([entry[:4] for entry in results])

    def _write(self, results: list[Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        paths = [entry[4] for entry in results]
        root = os.path.commonpath([os.path.dirname(path) for path in paths])
        names = [os.path.relpath(path, root) for path in paths]
        by_name = dict(zip(names, results, strict=True))
        chosen = gallery(name for name, entry in by_name.items() if entry[5] is not None)
        for number, name in enumerate(chosen):
            for kind, labels in zip(("", ".true"), by_name[name][5], strict=True):
                _, png = cv2.imencode(".png", labels)
                write_bytes(self.folder / f"{number}{kind}.png", png.tobytes())
        arrays: dict[str, Any] = {
            "image_ids": np.array(names),
            "intersect": np.stack([entry[0].numpy() for entry in results]),
            "union": np.stack([entry[1].numpy() for entry in results]),
            "classes": np.array(list(self.dataset_meta["classes"])),
            "palette": np.array(self.dataset_meta.get("palette") or [], dtype=np.uint8).reshape(-1, 3),
            "gallery_ids": np.array(chosen),
            "gallery_paths": np.array([by_name[name][4] for name in chosen]),
        }
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)
        write_bytes(self.folder / COUNTS, content.getvalue())


def _labels(sample: dict[str, Any]) -> np.ndarray:
    """A label map, ``(h, w)``; OpenMMLab's labels fit a byte."""
    labels: np.ndarray = sample["data"].squeeze().cpu().numpy().astype(np.uint8)
    return labels
