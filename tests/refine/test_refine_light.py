"""The light of a set, on scenes lit by a known light."""

import cv2
import numpy as np
import pytest

from understudy.geometry.colour import srgb_bytes_from_linear
from understudy.geometry.projection import intrinsics
from understudy.geometry.rotations import look_at
from understudy.refine.light import LightSample, estimate_light

HEIGHT, WIDTH = 216, 384
K = intrinsics(380.0, WIDTH, HEIGHT)
T_WORLD_CAMERA = look_at(np.array([0.0, 1.6, 5.0]), np.array([0.0, 0.9, 0.0]))


def unit(*v: float) -> np.ndarray:
    return np.array(v) / np.linalg.norm(v)


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


def scene(key: np.ndarray, strength: float, fill: float, cast: bool, seed: int = 0) -> LightSample:
    rng = np.random.default_rng(seed)
    directions = rays()
    distance, normal = egg(directions)
    on_egg = distance > 0
    origin = T_WORLD_CAMERA[:3, 3]
    down = directions[..., 1] < -1e-3
    reach = np.where(down, -origin[1] / np.where(down, directions[..., 1], -1), 0)
    ground = origin + directions * reach[..., None]
    noise = cv2.GaussianBlur(rng.standard_normal((HEIGHT, WIDTH)), (0, 0), 3)
    albedo = 0.3 * np.exp(0.8 * noise)
    plate = np.where(down, albedo * (strength * max(key[1], 0) + fill), 0.35)
    frame = plate.copy()
    if cast:
        # A ground point is in shadow when its ray to the key meets the egg.
        o = (ground - [0.0, 0.85, 0.0]) / [0.4, 0.85, 0.4]
        d = key / np.array([0.4, 0.85, 0.4])
        b, a, c = o @ d, d @ d, (o * o).sum(-1) - 1
        shadow = down & (b * b - a * c > 0) & (b < 0)
        frame = np.where(shadow, albedo * fill, plate)
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


def test_no_sample_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        estimate_light([])
