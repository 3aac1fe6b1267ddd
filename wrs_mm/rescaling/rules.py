"""Which PyTorch operations leave a filter's scale alone on its way to a norm layer.

A convolution's output is ``y_c = w_c * x (+ b_c)`` on channel ``c``. An operation may stand between it and
a norm layer if it works on each channel alone and is positively homogeneous, ``f(c·y) = c·f(y)`` for
``c > 0``; where the convolution has a bias, which WRS does not rescale, it must also commute with adding a
constant. The tables name what is known to do so, as ``__name__`` of what a ``TorchFunctionMode`` sees; any
operation that is not in them is taken to break the invariance.
"""

from __future__ import annotations

NEUTRAL = frozenset(
    """
    shape size dim ndim numel nelement stride storage_offset is_contiguous dtype device layout type
    requires_grad requires_grad_ is_leaf grad grad_fn _backward_hooks retain_grad register_hook retains_grad
    is_cuda is_cpu is_mps is_xpu is_npu is_meta is_sparse is_quantized is_nested is_complex is_floating_point
    is_floating_point is_signed is_inference is_same_size is_conj is_neg get_device element_size itemsize
    nbytes data_ptr untyped_storage storage _version output_nr names has_names name __hash__ __len__ __id__
    zeros_like ones_like empty_like full_like rand_like randn_like new_zeros new_ones new_empty new_full
    new_tensor new result_type _is_view is_tensor can_cast size_hint __class__ __dict__ __delattr__
    """.split()
)
"""Ask about a tensor without reading its values, or make a new one that only has its shape."""

IDENTITY = frozenset(
    """
    contiguous clone detach detach_ data to type_as float double half bfloat16 cuda cpu alias
    positive pin_memory
    """.split()
)
"""Elementwise, positively homogeneous, and commuting with a constant: the value stays what it is."""

HOMOGENEOUS = frozenset(
    """
    relu relu_ leaky_relu leaky_relu_ prelu neg neg_ negative abs abs_ absolute
    dropout dropout_ dropout1d dropout2d dropout3d feature_dropout
    """.split()
)
"""Elementwise and positively homogeneous. A bias does not pass."""

PRODUCT = frozenset("mul mul_ multiply multiply_ imul __imul__".split())
"""Multiplication by something that the filter does not scale. A bias does not pass."""

QUOTIENT = frozenset("div div_ divide divide_ true_divide true_divide_ __itruediv__".split())

SUM = frozenset("add add_ __iadd__ sub sub_ __isub__ subtract".split())
"""Sums of two values of the same filter, channel by channel. A bias does not pass."""

MOVE = frozenset(
    """
    view reshape flatten unflatten permute transpose swapaxes swapdims movedim moveaxis t T mT
    squeeze unsqueeze expand expand_as view_as reshape_as broadcast_to repeat repeat_interleave tile
    chunk split split_with_sizes tensor_split unsafe_chunk unsafe_split unbind narrow select index_select
    __getitem__ roll flip pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle
    """.split()
)
"""Move values without changing any; run on labels instead of values, they say where each went."""

JOIN = frozenset("cat concat concatenate stack hstack vstack dstack".split())
"""Moves that join several tensors: what has no label joins as «not from any filter»."""

SPATIAL_SHIFT_FREE = {
    "max_pool1d": 1, "max_pool2d": 2, "max_pool3d": 3,
    "max_pool1d_with_indices": 1, "max_pool2d_with_indices": 2, "max_pool3d_with_indices": 3,
    "adaptive_max_pool1d": 1, "adaptive_max_pool2d": 2, "adaptive_max_pool3d": 3,
    "adaptive_max_pool1d_with_indices": 1, "adaptive_max_pool2d_with_indices": 2,
    "adaptive_max_pool3d_with_indices": 3,
    "adaptive_avg_pool1d": 1, "adaptive_avg_pool2d": 2, "adaptive_avg_pool3d": 3,
}  # fmt: skip
"""Pooling and resampling over the last n dimensions, each channel alone.
Those in the first set commute with a constant, the others do not (zero padding)."""

SPATIAL = {"avg_pool1d": 1, "avg_pool2d": 2, "avg_pool3d": 3, "grid_sample": 2}

REDUCTION = frozenset("mean sum amax amin".split())
"""Reductions over dimensions that hold values of one filter only."""
