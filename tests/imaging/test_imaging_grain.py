"""Grain: what is drawn is what was measured."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from understudy.imaging.grain import GRAIN_NODES, Grain, estimate_grain, grain_field


def test_drawn_grain_has_its_strength_at_each_brightness():
    sigma = np.linspace(1, 6, len(GRAIN_NODES))[:, None] * np.array([1.0, 1.2, 0.8])
    luminance = np.repeat(GRAIN_NODES, 100)[:, None] * np.ones((1, 400))
    field = grain_field(Grain(sigma, 0.5, 0.5), luminance, 1)
    for node in range(len(GRAIN_NODES)):
        assert np.allclose(field[node * 100 : node * 100 + 100].std((0, 1)), sigma[node], rtol=0.08)


@pytest.mark.parametrize("blur", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_measured_grain_is_the_drawn_one(blur, correlation):
    true = Grain(np.full((len(GRAIN_NODES), 3), 4.0), blur, correlation)
    luminance = np.full((300, 300), 120.0)
    found = estimate_grain(grain_field(true, luminance, 5), luminance, np.ones((300, 300), bool))
    assert np.allclose(found.sigma, 4.0, rtol=0.08)
    assert abs(found.blur_px - blur) < (0.12 if blur else 0.3)
    assert abs(found.correlation - correlation) < 0.06


def test_outliers_are_no_grain():
    rng = np.random.default_rng(0)
    residual = rng.standard_normal((200, 200, 3)) * 3
    residual[:20] += 60
    found = estimate_grain(residual, np.full((200, 200), 100.0), np.ones((200, 200), bool))
    assert np.allclose(found.sigma, 3.0, rtol=0.25)


def test_frames_differ_and_repeat_by_seed():
    grain = Grain(np.full((len(GRAIN_NODES), 3), 4.0), 0.6, 0.5)
    luminance = np.full((40, 700), 120.0)
    a, b = grain_field(grain, luminance, 1), grain_field(grain, luminance, 2)
    assert np.array_equal(a, grain_field(grain, luminance, 1))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.1


def test_blur_follows_its_formula():
    noise = gaussian_filter(np.random.default_rng(1).standard_normal((400, 400, 3)), (0.8, 0.8, 0))
    found = estimate_grain(noise / noise.std() * 5, np.full((400, 400), 100.0), np.ones((400, 400), bool))
    assert abs(found.blur_px - 0.8) < 0.1


def test_impossible_grain_is_refused():
    with pytest.raises(ValueError, match="shape"):
        Grain(np.zeros((2, 3)), 0.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        Grain(np.zeros((len(GRAIN_NODES), 3)), 0.0, 1.5)


def test_grain_of_a_picture_larger_than_a_tile_repeats_by_the_tile():
    grain = Grain(np.full((len(GRAIN_NODES), 3), 4.0), 0.8)
    field = grain_field(grain, np.full((530, 1100), 100.0), 3)
    np.testing.assert_array_equal(field[:, 512:1024], field[:, :512])
    np.testing.assert_array_equal(field[512:], field[:18])
    assert field[:512, :512].std() == pytest.approx(4.0, rel=0.05)
