"""What a look measures, on pictures whose grain, blur and tone are known."""

import cv2
import numpy as np
import pytest

from understudy.core.environment import Light
from understudy.core.passes import Layer
from understudy.imaging.colour import linear_from_srgb_bytes
from understudy.refine.look_matching import LookSample, RefineConfig, _grain_samples, measure_look, shadow_share

HEIGHT, WIDTH = 240, 320
UP = np.array([0.0, 1.0, 0.0])
LIGHT = Light(UP, np.array([1.2, 1.0, 0.8]), np.full(3, 0.5), np.full(3, 0.2))


def pattern(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
    for _ in range(25):
        x, y = rng.integers(60, 240), rng.integers(20, 200)
        cv2.rectangle(picture, (int(x), int(y)), (int(x) + 24, int(y) + 24), rng.integers(30, 220, 3).tolist(), -1)
    return picture


def sample(
    filmed_blur: float = 0.6, noise: float = 0.0, gain: float = 1.0, lift: float = 0.0, seed: int = 0
) -> LookSample:
    rng = np.random.default_rng(seed)
    sharp = pattern(seed).astype(np.float32)
    frame = cv2.GaussianBlur(sharp, (0, 0), filmed_blur) + noise * rng.standard_normal(sharp.shape)
    frame = np.clip(np.maximum(frame, lift), 0, 255).astype(np.uint8)
    matte = np.zeros((HEIGHT, WIDTH), np.uint8)
    matte[20:225, 60:265] = 255
    alpha = (matte / 255).astype(np.float32)
    own = cv2.GaussianBlur(pattern(seed).astype(np.float32), (0, 0), 0.6).astype(np.uint8)
    colour = linear_from_srgb_bytes(own) * gain * alpha[..., None]
    plate = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
    rendered = Layer(colour=colour.astype(np.float32), alpha=alpha, shadow=np.zeros_like(alpha))
    return LookSample(frame, plate, matte, rendered)


@pytest.mark.parametrize("sigma", [2.0, 5.0])
def test_grain_is_measured(sigma):
    look = measure_look([sample(noise=sigma, seed=seed) for seed in range(3)], LIGHT)
    assert np.allclose(look.grain.sigma[2], sigma, rtol=0.15)


def test_clean_film_gets_hardly_any_grain():
    look = measure_look([sample(seed=seed) for seed in range(3)], LIGHT)
    assert look.grain.sigma.max() < 0.6


@pytest.mark.parametrize(("filmed", "missing"), [(0.6, 0.0), (1.6, 1.48), (2.2, 2.12)])
def test_blur_that_the_render_lacks(filmed, missing):
    config = RefineConfig(max_blur_px=9.0)
    look = measure_look([sample(filmed_blur=filmed, seed=seed) for seed in range(3)], LIGHT, config)
    assert abs(look.blur_px - missing) < 0.45


def test_exposure_moves_part_of_the_way_and_not_beyond_the_limit():
    config = RefineConfig()
    dark = measure_look([sample(gain=0.5)], LIGHT, config).gain
    bright = measure_look([sample(gain=1.6)], LIGHT, config).gain
    same = measure_look([sample(gain=1.0)], LIGHT, config).gain
    assert 1.15 < dark.mean() <= 1.07 * config.max_gain and 0.75 < bright.mean() < 0.9
    assert np.allclose(same, 1, atol=0.06)


@pytest.mark.parametrize(("darkest", "black"), [(0, 0.0), (20, 0.00700), (35, 0.01681), (90, 0.02)])
def test_black_is_the_film_s_darkest_light_up_to_two_per_cent_of_white(darkest, black):
    """Expected are the sRGB levels as linear light, by IEC 61966-2-1."""
    filmed = sample(lift=float(darkest))
    filmed.frame[:40, :40] = darkest
    np.testing.assert_allclose(measure_look([filmed], LIGHT).black, black, atol=1e-4)


def test_shadow_takes_the_keys_share():
    assert np.allclose(shadow_share(LIGHT, 0.0), np.array([1.2, 1.0, 0.8]) / np.array([1.7, 1.5, 1.3]))
    overcast = Light(UP, np.full(3, 0.01), np.ones(3), np.ones(3))
    assert np.allclose(shadow_share(overcast, 0.3), 0.3)


def test_each_part_can_be_switched_off():
    config = RefineConfig(shadow=False, colour_match=False, lens_match=False, grain=False, light_wrap=False)
    look = measure_look([sample(noise=4.0, filmed_blur=2.0, gain=0.4)], LIGHT, config)
    assert not look.shadow_share.any() and (look.gain == 1).all() and not look.black.any()
    assert look.blur_px == 0 and look.grain is None and look.light_wrap == 0


def test_without_samples_only_the_shadow_is_matched():
    look = measure_look([], LIGHT)
    assert look.shadow_share.any() and look.grain is None and look.blur_px == 0


@pytest.mark.parametrize(("pixels", "frames"), [(640 * 360, 6), (1280 * 720, 6), (1920 * 1080, 2), (3840 * 2160, 1)])
def test_grain_is_looked_at_in_as_many_pixels_of_large_pictures(pixels, frames):
    assert _grain_samples(pixels) == frames
