"""Noise and colors come from the generator that is handed in, and from nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from wrs_mm.datasets.textures import random_color, shrink, to_uint8, value_noise


def test_noise_has_zero_mean_and_largest_magnitude_one_and_repeats():
    noise = value_noise(np.random.default_rng(1), 24, 48)
    assert noise.shape == (24, 48) and noise.dtype == np.float32
    assert abs(noise.mean()) < 1e-3 and np.abs(noise).max() == pytest.approx(1)
    assert np.array_equal(noise, value_noise(np.random.default_rng(1), 24, 48))
    assert not np.array_equal(noise, value_noise(np.random.default_rng(2), 24, 48))


def test_colors_lie_in_the_box_that_was_asked_for():
    rng = np.random.default_rng(0)
    for _ in range(50):
        blue, green, red = random_color(rng, hue=(0, 5), saturation=(200, 255), value=(100, 200))
        assert red == max(blue, green, red) and 99 <= red <= 200


def test_an_image_is_shrunk_by_averaging_and_rounded_and_clipped_for_its_file():
    image = np.array([[[0.0] * 3, [200.0] * 3], [[100.0] * 3, [301.0] * 3]], np.float32)
    assert np.allclose(shrink(image, 1, 1), 150.25)
    assert to_uint8(image).tolist() == [[[0] * 3, [200] * 3], [[100] * 3, [255] * 3]]
