"""Make up a batch for any detector, tracker, segmentor or classifier, as its toolbox would pack it.

The annotations are those that the model's loss reads: boxes and labels, masks, a semantic map, proposals,
borders. What a head asks for is found in the model, not in its config.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from wrs_mm.errors import ConfigError

Empty = Literal[False, "first", "all"]
"""Which samples of a batch hold no object: none of them, the first, all."""

IGNORED = 255
"""The label of a pixel that no loss counts, in both toolboxes."""

_SEMANTIC_STRIDE_OF_ROI_HEADS = 8
"""HTC's and SCNet's pipelines give their semantic branch a map of 1/8 of the image's size."""

_BRANCHES = ("sup", "unsup_teacher", "unsup_student")
"""Of a semi-supervised detector's pipeline."""

_OBJECTS = ("cat", "dog", "cup", "car", "bus", "man", "sky", "sea")
"""What a detector that reads text is asked for."""

_FRAMES = 2

_NUM_PROPOSALS = 50
"""Boxes for an image of a detector that expects them from elsewhere (Fast R-CNN)."""


def random_batch(
    model: nn.Module,
    *,
    batch_size: int = 2,
    size: tuple[int, int] = (128, 128),
    seed: int = 0,
    empty: Empty = False,
    evaluation: bool = False,
) -> dict[str, Any]:
    """Make a batch as the data loader of ``model``'s toolbox would.

    Args:
        model: A detector, tracker, segmentor or classifier; the annotations are those that its loss reads.
        batch_size: Number of images. Of a model that reads videos, of videos of two frames; to evaluate it
            takes one.
        size: Height and width of each image, in pixels.
        seed: Makes the batch; equal seeds make equal batches.
        empty: Which samples hold no object (in segmentation: only ignored pixels, or only the
            first class where the loss does not take ignored ones). Every image has a class.
        evaluation: Whether it is for ``val_step``, and not for a step of training.

    Returns:
        ``{"inputs": [uint8 tensors of shape (channels, H, W)], "data_samples": [...]}``; of videos
        ``(frames, channels, H, W)``; for training a semi-supervised detector, each of them by branch.

    Raises:
        ConfigError: ``model`` is none of them.
    """
    from mmengine.structures import BaseDataElement

    generator = np.random.default_rng(seed)
    if _reads_videos(model, evaluation):
        return _videos(model, 1 if evaluation else batch_size, size, generator, empty)
    inputs: list[torch.Tensor] = []
    samples: list[Any] = []
    for index in range(batch_size):
        image = generator.integers(0, 256, (_num_channels(model), *size), dtype=np.uint8)
        inputs.append(torch.from_numpy(image))
        without = empty == "all" or (empty == "first" and index == 0)
        if _is_a(model, "mmdet.models", "BaseDetector") or _is_a(model, "mmdet.models", "BaseMOTModel"):
            samples.append(_detection_sample(model, size, generator, index, without))
        elif _is_a(model, "mmseg.models", "BaseSegmentor"):
            samples.append(_segmentation_sample(model, size, generator, index, without))
        elif _is_a(model, "wrs_mm.classification", "BackboneClassifier"):
            label = torch.from_numpy(generator.integers(0, model.num_classes, 1))
            samples.append(BaseDataElement(metainfo=_meta(size, index), gt_label=label))
        elif _is_a(model, "mmpretrain.models", "BaseClassifier"):
            samples.append(_mmpretrain_sample(model, size, generator, index))
        else:
            raise ConfigError(
                f"{type(model).__name__} is no detector of mmdet, no segmentor of mmseg and no classifier"
            )
    batch = {"inputs": inputs, "data_samples": samples}
    if not evaluation and _is_a(model, "mmdet.models", "SemiBaseDetector"):
        return {key: {branch: list(value) for branch in _BRANCHES} for key, value in batch.items()}
    return batch


def _reads_videos(model: nn.Module, evaluation: bool) -> bool:
    # Trackers whose detector is trained alone take images then.
    images = getattr(model.data_preprocessor, "use_det_processor", False) and not evaluation
    return _is_a(model, "mmdet.models", "BaseMOTModel") and not images


def _videos(
    model: nn.Module, count: int, size: tuple[int, int], generator: np.random.Generator, empty: Empty
) -> dict[str, Any]:
    """Videos of two frames, a key and a reference: the same objects at the same places on other pixels."""
    from mmdet.structures import TrackDataSample

    inputs, samples = [], []
    for index in range(count):
        shape = (_FRAMES, _num_channels(model), *size)
        inputs.append(torch.from_numpy(generator.integers(0, 256, shape, dtype=np.uint8)))
        without = empty == "all" or (empty == "first" and index == 0)
        frame = _detection_sample(model, size, generator, index, without)
        frame.gt_instances.instances_ids = torch.arange(len(frame.gt_instances))
        # What prepares videos leaves boxes as they are packed, which is as tensors.
        for objects in (frame.gt_instances, frame.ignored_instances):
            objects.bboxes = objects.bboxes.tensor
        frames = [copy.deepcopy(frame) for _ in range(_FRAMES)]
        for number, each in enumerate(frames):
            each.set_metainfo({"frame_id": number, "is_video_data": True, "ori_video_length": _FRAMES})
        sample = TrackDataSample(metainfo={"key_frames_inds": [0], "ref_frames_inds": [1]})
        sample.video_data_samples = frames
        samples.append(sample)
    return {"inputs": inputs, "data_samples": samples}


def _is_a(model: nn.Module, module: str, name: str) -> bool:
    """Whether a base class of ``model`` has this name and comes from this module, unimported."""
    return any(base.__name__ == name and base.__module__.startswith(module) for base in type(model).__mro__)


def _meta(size: tuple[int, int], index: int) -> dict[str, Any]:
    return {
        "img_id": index,
        "img_path": f"{index}.png",
        "img_shape": size,
        "ori_shape": size,
        "pad_shape": size,
        "scale_factor": (1.0, 1.0),
        "flip": False,
        "flip_direction": None,
    }


def _detection_sample(
    model: nn.Module,
    size: tuple[int, int],
    generator: np.random.Generator,
    index: int,
    without: bool,
) -> Any:
    from mmdet.structures import DetDataSample
    from mmdet.structures.bbox import HorizontalBoxes
    from mmdet.structures.mask import BitmapMasks
    from mmengine.structures import InstanceData, PixelData

    height, width = size
    count = 0 if without else int(generator.integers(3, 7))
    boxes = _random_boxes(count, size, generator)
    instances = InstanceData(
        bboxes=HorizontalBoxes(torch.from_numpy(boxes)),
        labels=torch.from_numpy(generator.integers(0, _num_thing_classes(model), count)),
    )
    if _reads_masks(model):
        instances.masks = BitmapMasks(_ellipses(boxes, size), height, width)
    ignored = InstanceData(
        bboxes=HorizontalBoxes(torch.zeros(0, 4)), labels=torch.zeros(0, dtype=torch.int64)
    )
    meta = {
        **_meta(size, index),
        # CenterNet's and CornerNet's pipelines pad an image; where it lies: top, bottom, left, right.
        "border": (0, height, 0, width),
        # Soft teachers take boxes from one view of an image to another.
        "homography_matrix": np.eye(3, dtype=np.float32),
    }
    if hasattr(model, "language_model"):
        meta |= {"text": " . ".join(_OBJECTS), "custom_entities": True}
    sample = DetDataSample(gt_instances=instances, ignored_instances=ignored, metainfo=meta)
    semantic = _semantic_branch(model)
    if semantic is not None:
        classes, stride = semantic
        shape = (height // stride, width // stride)
        labels = _random_label_map(shape, classes, generator, without, IGNORED)
        sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(labels[None]))
    if _reads_proposals(model):
        proposals = _random_boxes(_NUM_PROPOSALS, size, generator)
        sample.proposals = InstanceData(bboxes=torch.from_numpy(proposals))
    return sample


def _segmentation_sample(
    model: nn.Module,
    size: tuple[int, int],
    generator: np.random.Generator,
    index: int,
    without: bool,
) -> Any:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    other = 0 if _weighs_classes(model) else IGNORED
    labels = _random_label_map(size, _num_classes(model), generator, without, other)
    sample = SegDataSample(metainfo=_meta(size, index))
    sample.gt_sem_seg = PixelData(data=torch.from_numpy(labels[None]))
    # Only PIDNet reads it; its pipeline draws the borders between the labels.
    edges = np.zeros(size, dtype=np.int64)
    edges[1:] |= labels[1:] != labels[:-1]
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    sample.gt_edge_map = PixelData(data=torch.from_numpy(edges[None]))
    return sample


def _mmpretrain_sample(
    model: nn.Module, size: tuple[int, int], generator: np.random.Generator, index: int
) -> Any:
    if _is_a(model, "mmdet.models", "BaseReID"):
        from mmdet.structures import ReIDDataSample as DataSample
    else:
        from mmpretrain.structures import DataSample

    label = torch.from_numpy(generator.integers(0, _num_classes(model), 1))
    return DataSample(metainfo=_meta(size, index)).set_gt_label(label)


def _random_boxes(count: int, size: tuple[int, int], generator: np.random.Generator) -> np.ndarray[Any, Any]:
    """``count`` boxes (x1, y1, x2, y2) inside the image, a quarter to three quarters its size."""
    height, width = size
    extent = np.array([width, height])
    sides = generator.uniform(0.25, 0.75, (count, 2)) * extent
    corners = generator.uniform(0, 1, (count, 2)) * (extent - sides)
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32)


def _ellipses(boxes: np.ndarray[Any, Any], size: tuple[int, int]) -> np.ndarray[Any, Any]:
    """The ellipse inside each box, as uint8 masks of shape (count, H, W)."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    masks = np.zeros((len(boxes), *size), dtype=np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        distance = ((2 * x - x1 - x2) / (x2 - x1)) ** 2 + ((2 * y - y1 - y2) / (y2 - y1)) ** 2
        mask[distance <= 1] = 1
    return masks


def _random_label_map(
    size: tuple[int, int], classes: int, generator: np.random.Generator, without: bool, other: int
) -> np.ndarray[Any, Any]:
    """An int64 map of rectangles with labels below ``classes``, and a strip of ``other``."""
    labels = np.full(size, other, dtype=np.int64)
    if without:
        return labels
    labels[:] = generator.integers(classes)
    for x1, y1, x2, y2 in _random_boxes(6, size, generator).astype(int):
        labels[y1:y2, x1:x2] = generator.integers(classes)
    labels[: max(1, size[0] // 16)] = other
    return labels


def _num_thing_classes(model: nn.Module) -> int:
    """How many labels of objects every head of a detector takes (1 for a lone RPN)."""
    found = []
    for name, module in model.named_modules():
        # A panoptic head counts things and stuff together.
        count = getattr(module, "num_things_classes", getattr(module, "num_classes", None))
        if isinstance(count, int) and count > 0 and "rpn" not in name and "semantic" not in name:
            found.append(count)
    if hasattr(model, "language_model"):
        return len(_OBJECTS)
    return min(found, default=1)


def _semantic_branch(model: nn.Module) -> tuple[int, int] | None:
    """Number of labels and stride of the semantic map that a detector's loss reads, if any."""
    for name, module in model.named_modules():
        stuff = getattr(module, "num_stuff_classes", 0)
        if stuff:
            return module.num_things_classes + stuff, 1
        if name == "roi_head.semantic_head":
            return module.num_classes, _SEMANTIC_STRIDE_OF_ROI_HEADS
    return None


def _reads_masks(model: nn.Module) -> bool:
    # Not for everyone: RTMDet's assigner takes masks, where there are any, for RTMDet-Ins's tensors.
    return any(
        "mask_head" in name or "Mask" in type(module).__name__ or "Ins" in type(module).__name__
        for name, module in model.named_modules()
        if not isinstance(module, nn.modules.instancenorm._InstanceNorm)
    )


def _reads_proposals(model: nn.Module) -> bool:
    return hasattr(model, "roi_head") and not getattr(model, "with_rpn", True)


def _num_channels(model: nn.Module) -> int:
    mean = getattr(model.data_preprocessor, "mean", None)
    # Of videos it has an axis for frames.
    return 3 if mean is None else mean.numel()


def _weighs_classes(model: nn.Module) -> bool:
    # mmseg 1.2.2 looks up the weight of ignored pixels too, in a list of the classes' (CGNet, PIDNet).
    return any(
        getattr(module, "class_weight", None) is not None and "CrossEntropy" in type(module).__name__
        for module in model.modules()
    )


def _num_classes(model: nn.Module) -> int:
    """How many labels every head of a segmentor, or of a classifier of mmpretrain's, takes."""
    found = [
        module.num_classes
        for name, module in model.named_modules()
        if "head" in name and isinstance(getattr(module, "num_classes", None), int)
    ]
    return min(found, default=2)
