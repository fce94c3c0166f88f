"""The light of a set, on scenes lit by a known light."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from understudy.core.environment import Light
from understudy.geometry.projection import intrinsics
from understudy.geometry.rotations import look_at
from understudy.imaging.colour import srgb_bytes_from_linear
from understudy.refine.light import LightSample, estimate_light
from understudy.refine.shadow_match import match_shadow

HEIGHT, WIDTH = 216, 384
K = intrinsics(380.0, WIDTH, HEIGHT)
T_WORLD_CAMERA = look_at(np.array([0.0, 1.6, 5.0]), np.array([0.0, 0.9, 0.0]))


def unit(*v: float) -> np.ndarray:
    return np.array(v) / np.linalg.norm(v)


KEY = unit(0.8, 0.9, 0.3)
HALF = (WIDTH // 2, HEIGHT // 2)


def angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))


def rays() -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    directions = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(K).T @ T_WORLD_CAMERA[:3, :3].T
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def egg(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rays meet an upright egg 1.7 high on the ground (−1: nowhere), and its normals."""
    origin, radii, centre = T_WORLD_CAMERA[:3, 3], np.array([0.4, 0.85, 0.4]), np.array([0.0, 0.85, 0.0])
    o, d = (origin - centre) / radii, directions / radii
    a, b, c = (d * d).sum(-1), (d @ o), o @ o - 1
    root = b * b - a * c
    distance = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, -1.0)
    normal = (origin + directions * distance[..., None] - centre) / radii**2
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return distance, np.where(distance[..., None] > 0, normal, 0.0)


def shadow_of_egg(key: np.ndarray, key_angle_rad: float = 0.0) -> np.ndarray:
    """Which share of the key the egg keeps from the ground; the key is a disc."""
    directions, origin = rays(), T_WORLD_CAMERA[:3, 3]
    down = directions[..., 1] < -1e-3
    ground = origin + directions * np.where(down, -origin[1] / np.where(down, directions[..., 1], -1), 0)[..., None]
    aside = np.cross(key, [0.0, 1.0, 0.0]) / np.linalg.norm(np.cross(key, [0.0, 1.0, 0.0]))
    turns = np.arange(12) * np.pi * (3 - np.sqrt(5))
    radii = np.tan(key_angle_rad) * np.sqrt((np.arange(12) + 0.5) / 12)
    hidden = []
    for radius, turn in zip(radii, turns, strict=True) if key_angle_rad else [(0.0, 0.0)]:
        towards = key + radius * (np.cos(turn) * aside + np.sin(turn) * np.cross(aside, key))
        # A ground point is in shadow when its ray to the key meets the egg.
        o, d = (ground - [0.0, 0.85, 0.0]) / [0.4, 0.85, 0.4], towards / np.array([0.4, 0.85, 0.4])
        b, a, c = o @ d, d @ d, (o * o).sum(-1) - 1
        hidden.append(down & (b * b - a * c > 0) & (b < 0))
    return np.mean(hidden, 0)


def scene(
    key: np.ndarray, strength: float, fill: float, cast: bool, seed: int = 0, key_angle_rad: float = 0.0
) -> LightSample:
    rng = np.random.default_rng(seed)
    directions = rays()
    distance, normal = egg(directions)
    on_egg = distance > 0
    down = directions[..., 1] < -1e-3
    noise = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH)), (0, 0), 3)
    albedo = 0.3 * np.exp(0.8 * noise)
    plate = np.where(down, albedo * (strength * max(key[1], 0) + fill), 0.35)
    frame = plate.copy()
    if cast:
        lit_share = 1 - shadow_of_egg(key, key_angle_rad)
        frame = np.where(down, albedo * (strength * lit_share * max(key[1], 0) + fill), plate)
    bands = np.where(np.sin(np.arange(HEIGHT) / 30)[:, None] > 0, 0.5, 0.15)
    lit = bands * (strength * np.maximum(normal @ key, 0) + fill)
    frame = np.where(on_egg, lit, frame)
    picture = np.repeat(srgb_bytes_from_linear(frame)[..., None], 3, -1)
    background = np.repeat(srgb_bytes_from_linear(plate)[..., None], 3, -1)
    matte = (255 * on_egg).astype(np.uint8)
    hips = np.array([0.0, 0.95, 0.0])
    return LightSample(picture, background, matte, normal, K, T_WORLD_CAMERA, hips, 1.7)


@pytest.mark.parametrize("key", [unit(0.8, 0.9, 0.3), unit(-0.7, 0.7, 0.6), unit(0.5, 0.6, -0.8)])
def test_cast_shadow_tells_the_key(key):
    estimate = estimate_light([scene(key, 1.2, 0.4, cast=True, seed=seed) for seed in range(3)])
    assert estimate.found_by == "shadow" and estimate.confidence > 0.3
    assert angle_deg(estimate.light.key_direction, key) < 15
    level = estimate.light.key_colour * estimate.light.key_direction[1]
    share = level / (level + estimate.light.fill_sky)
    assert np.abs(share - 1.2 * key[1] / (1.2 * key[1] + 0.4)).max() < 0.12


@pytest.mark.parametrize("key", [unit(0.8, 0.7, 0.6), unit(-0.9, 0.5, 0.5), unit(0.1, 0.9, 0.6)])
def test_shading_tells_the_key_where_no_shadow_is_seen(key):
    estimate = estimate_light([scene(key, 1.2, 0.4, cast=False, seed=seed) for seed in range(3)])
    assert estimate.found_by == "shading"
    assert angle_deg(estimate.light.key_direction, key) < 22


def cast_at_half_size(light: Light, _: int) -> np.ndarray:
    shadow = shadow_of_egg(light.key_direction, light.key_angle_rad)
    return cv2.resize(shadow, HALF, interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("key", [KEY, unit(-0.7, 0.7, 0.6)])
def test_matching_the_shadow_finds_direction_and_softness(key):
    matched = {}
    for angle_rad in (0.01, 0.12):
        samples = [scene(key, 1.2, 0.4, cast=True, seed=seed, key_angle_rad=angle_rad) for seed in range(2)]
        found = estimate_light(samples).light
        matched[angle_rad] = match_shadow(found, samples, cast_at_half_size, HALF)
        before, after = (angle_deg(light.key_direction, key) for light in (found, matched[angle_rad]))
        assert after < max(0.6 * before, 2.5)
        level = [light.key_colour * light.key_direction[1] for light in (found, matched[angle_rad])]
        np.testing.assert_allclose(*level)
    assert matched[0.01].key_angle_rad < 0.03 and matched[0.12].key_angle_rad > 0.07


def test_no_light_throws_a_shadow_that_is_not_there():
    light = estimate_light([scene(KEY, 1.2, 0.4, cast=True)]).light
    assert match_shadow(light, [scene(KEY, 1.2, 0.4, cast=False)], cast_at_half_size, HALF) is None
    # Nor one that lies where no light could throw it.
    elsewhere = [replace(sample, frame=np.roll(sample.frame, 90, 1)) for sample in [scene(KEY, 1.2, 0.4, cast=True)]]
    assert match_shadow(light, elsewhere, cast_at_half_size, HALF) is None
    found = estimate_light([scene(KEY, 1.2, 0.4, cast=True)], believe_shadow=False)
    assert found.found_by != "shadow"


def test_flat_light_falls_back_to_soft_light_from_above_and_says_so():
    estimate = estimate_light([scene(unit(0, 1, 0.2), 0.0, 0.9, cast=False)])
    assert estimate.found_by == "prior" and estimate.confidence == 0
    assert estimate.light.key_direction[1] > 0.7 and estimate.light.key_angle_rad >= np.radians(10)


def test_bright_set_has_more_light_than_a_dim_one():
    bright = estimate_light([scene(unit(0.8, 0.9, 0.3), 2.0, 0.8, cast=True)]).light
    dim = estimate_light([scene(unit(0.8, 0.9, 0.3), 0.2, 0.08, cast=True)]).light
    assert bright.fill_sky.mean() > 1.5 * dim.fill_sky.mean()
    for light in (bright, dim):
        assert np.isclose(np.linalg.norm(light.key_direction), 1)
        assert all((values >= 0).all() for values in (light.key_colour, light.fill_sky, light.fill_ground))


def test_light_from_behind_leaves_the_visible_side_dim():
    """The little light on the side that is seen does not make the key as many times too strong."""
    samples = [scene(unit(0.2, 0.9, -0.9), 1.0, 0.06, cast=True, seed=seed) for seed in range(2)]
    found = estimate_light(samples).light
    assert found.key_direction[2] < -0.4
    assert 0.5 < found.key_colour.mean() / 1.0 < 2.0 and found.fill_sky.mean() < 2.0 * 0.06


def test_red_ground_does_not_make_the_light_from_below_red():
    sample = scene(KEY, 1.2, 0.4, cast=True)
    red = np.array([1.0, 0.35, 0.35])
    below = (rays()[..., 1:2] < -1e-3) & (sample.matte[..., None] == 0)
    frame, plate = (
        np.where(below, picture * red, picture).astype(np.uint8) for picture in (sample.frame, sample.plate)
    )
    found = estimate_light([replace(sample, frame=frame, plate=plate)]).light
    assert found.fill_ground.max() < 3.0 * found.fill_ground.min()
    assert found.fill_sky.max() < 1.6 * found.fill_sky.min()


def test_no_sample_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        estimate_light([])
