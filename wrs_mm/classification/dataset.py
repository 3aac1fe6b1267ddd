"""Images by class as mmengine's datasets read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from wrs_mm.classification.class_folders import address, images_by_class
from wrs_mm.errors import DatasetError


@DATASETS.register_module()
class ClassFolders(BaseDataset):
    """Images in a folder for each class, or in a zip file of such folders (``train.zip`` for ``train/``).

    A class's label is its place in ``metainfo['classes']`` or, where that is not said, in the order of their
    names, as in torchvision's ImageFolder and mmpretrain's ImageNet.

    Args:
        data_prefix: ``dict(img_path=FOLDER)``, the folder of classes below ``data_root``.
        num_classes: How many classes there must be; None for as many as there are.
        **options: As of mmengine's datasets.
    """

    def __init__(self, data_prefix: dict[str, Any], num_classes: int | None = None, **options: Any) -> None:
        import mmcv.transforms  # noqa: F401 - registers what loads an image

        self._num_classes = num_classes
        super().__init__(data_prefix=data_prefix, **options)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the images.

        Raises:
            DatasetError: The folder is not there or holds no image, or another number of classes.
        """
        folder = Path(self.data_prefix["img_path"])
        found = images_by_class(folder)
        if not any(found.values()):
            raise DatasetError(f"{folder} holds no folder of images for a class; correct data_root")
        if self._num_classes not in (None, len(found)):
            raise DatasetError(
                f"{folder} has {len(found)} folders of classes, and the config's num_classes is "
                f"{self._num_classes}"
            )
        classes = list(self._metainfo.setdefault("classes", tuple(found)))
        strange = sorted({*found} - {*classes})
        if strange:
            raise DatasetError(f"{folder} has a folder {strange[0]!r}, which is none of the config's classes")
        return [
            {"img_path": address(folder, image), "gt_label": classes.index(kind)}
            for kind, images in found.items()
            for image in images
        ]
