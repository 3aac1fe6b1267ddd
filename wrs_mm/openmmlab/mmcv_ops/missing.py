"""The operators of mmcv that are not provided: they import, and explain themselves when called.

``mmcv.ops`` asks for all operators of the compiled extension at import, also for those that no
model in use ever calls, so a missing one must not fail before its call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from wrs_mm.errors import UsageError

MISSING_OPERATORS = frozenset(
    {
        "active_rotated_filter_backward",
        "active_rotated_filter_forward",
        "assign_score_withk_backward",
        "assign_score_withk_forward",
        "ball_query_forward",
        "bezier_align_backward",
        "bezier_align_forward",
        "bias_act",
        "border_align_backward",
        "border_align_forward",
        "box_iou_quadri",
        "box_iou_rotated",
        "chamfer_distance_backward",
        "chamfer_distance_forward",
        "contour_expand",
        "convex_giou",
        "convex_iou",
        "correlation_backward",
        "correlation_forward",
        "diff_iou_rotated_sort_vertices_forward",
        "dynamic_point_to_voxel_backward",
        "dynamic_point_to_voxel_forward",
        "dynamic_voxelize_forward",
        "filtered_lrelu",
        "filtered_lrelu_act_",
        "furthest_point_sampling_forward",
        "furthest_point_sampling_with_dist_forward",
        "fused_bias_leakyrelu",
        "fused_indice_conv_forward",
        "gather_points_backward",
        "gather_points_forward",
        "get_indice_pairs_2d_backward",
        "get_indice_pairs_2d_forward",
        "get_indice_pairs_3d_backward",
        "get_indice_pairs_3d_forward",
        "get_indice_pairs_4d_forward",
        "group_points_backward",
        "group_points_forward",
        "hard_voxelize_forward",
        "indice_conv_backward",
        "indice_conv_forward",
        "indice_maxpool_backward",
        "indice_maxpool_forward",
        "iou3d_boxes_overlap_bev_forward",
        "iou3d_nms3d_forward",
        "iou3d_nms3d_normal_forward",
        "knn_forward",
        "min_area_polygons",
        "nms_quadri",
        "nms_rotated",
        "pixel_group",
        "points_in_boxes_all_forward",
        "points_in_boxes_cpu_forward",
        "points_in_boxes_part_forward",
        "points_in_polygons_forward",
        "prroi_pool_backward",
        "prroi_pool_coor_backward",
        "prroi_pool_forward",
        "riroi_align_rotated_backward",
        "riroi_align_rotated_forward",
        "roi_align_rotated_backward",
        "roi_align_rotated_forward",
        "roiaware_pool3d_backward",
        "roiaware_pool3d_forward",
        "roipoint_pool3d_forward",
        "rotated_feature_align_backward",
        "rotated_feature_align_forward",
        "stack_ball_query_forward",
        "stack_group_points_backward",
        "stack_group_points_forward",
        "three_interpolate_backward",
        "three_interpolate_forward",
        "three_nn_forward",
        "tin_shift_backward",
        "tin_shift_forward",
        "upfirdn2d",
    }
)
"""What ``mmcv.ops`` of mmcv 2.1.0 loads from ``mmcv._ext`` and this package does not implement.

Rotated boxes, point clouds, text and generators of images: toolboxes other than mmdet and mmseg.
"""


class MissingOperatorError(UsageError, NotImplementedError):
    """An operator was called that only a compiled mmcv has."""


def missing_operator(name: str) -> Callable[..., NoReturn]:
    """Return a function that raises :class:`MissingOperatorError` for ``name`` when called."""

    def call(*args: Any, **kwargs: Any) -> NoReturn:
        raise MissingOperatorError(
            f"mmcv operator '{name}' is in compiled mmcv only, and no model of mmdet or mmseg needs it; "
            "to have it, compile mmcv 2.1.0: unpack its sdist, write c++20 for c++17 in its setup.py, "
            "uninstall mmcv-lite and `pip install --no-build-isolation` that folder (docs/operators.md)"
        )

    call.__name__ = call.__qualname__ = name
    return call
