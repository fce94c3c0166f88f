"""The light of a set, found in the shot itself.

Three witnesses, in this order: the shadow that the actor casts on the ground (the frame against the clean plate), the
shading of the actor (the fitted body's normals against the picture), and a prior: soft light from above, slightly from
the camera's side. How bright and of which tint comes from the plate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.environment import Light
from understudy.imaging.colour import LUMA, linear_from_srgb_bytes

__all__ = ["LightEstimate", "LightSample", "estimate_light", "near_ground"]

_ACTOR_ALBEDO, _SET_ALBEDO, _GROUND_ALBEDO = 0.15, 0.22, 0.2
"""The share of light that an actor gives back, clothes and skin together, what stands around, and the ground: about the
18 % of a grey card. The first two are geometric means over films of our sets in many lights."""
_EXPOSED_WHITE = 1.0
"""Linear light of white that faces the key, in a film that is exposed as usual."""
_LEVEL_SPREAD = {"actor": 0.36, "set": 0.30, "white": 0.35}
"""Standard deviations of the logarithm of what each of these says of the light's level, on the same films."""
_MAX_FILL_TINT = 0.35
"""By how much the fill's share of a channel may differ from that of all: ground has colours of its own."""
_SHADOW_RATIO = 0.88
"""Ground that keeps less of its light than this, of what the plate has there, may lie in shadow: compression and grain
take less."""
_MAX_SHADOW_TINT = 0.25
"""By how much the share that is kept may differ between red, green and blue: what has another colour is a thing."""
_MIN_GROUND_LIGHT = 0.008
"""Linear; on darker ground no shadow can be told from grain."""
_MIN_SHADOW_SHARE, _MIN_SHADOW_PIXELS = 0.02, 30
"""Of the actor's own area, and in sampled pixels, that a frame's shadow has; smaller dark places are chance."""
_MIN_CONCENTRATION = 0.6
"""Length of the mean of the unit vectors from the feet to the shadow's pixels: a cast shadow lies on one side."""
_SHADOW_LENGTH_QUANTILE = 0.95
"""Of the shadow's weight along its direction: its far end is the shadow of the head's top."""
_HEAD_SHARE = 0.95
"""Of an actor's height, where the head is whose shadow ends."""
_ELEVATION_RAD = (math.radians(12), math.radians(80))
"""Of a key that casts a shadow: lower ones reach out of the picture, higher ones hide it below the actor."""
_UMBRA_PERCENTILE = 30
"""Of the shadow's brightness: its darkest part, which soft edges do not lighten."""
_SHADOW_REACH = 2.5
"""How long a shadow is looked for, in heights of the actor."""
_MIN_SHADED_FILL = 0.35
"""Share of fill that remains where only the actor's shading tells of a key: its contrast comes from folds, too."""
_MIN_SHADED_PIXELS = 500
"""With fewer pixels of the actor nothing is said of the shading."""
_MIN_EXPLAINED = 0.06
"""Share of the variance within each cloth that a key must explain; any direction explains a little by chance."""
_MAX_SHADING_CONFIDENCE = 0.8
"""The body's normals are those of a fit."""
_CLOTHS = 4
"""Kinds of cloth and skin with an albedo of their own."""
_FILL_SHARE = (0.08, 0.95)
"""Of all light on level ground, what may be fill: there is some even at noon, and never nothing else."""
_MIN_ELEVATION_SINE = 0.3
"""Of the key, where its light on level ground is worked out: a lower key would become too bright."""
_PRIOR_FILL = 0.6
"""Share of fill where nothing in the shot tells of a key."""
_MIN_LIGHT = 0.003
"""Linear luminance below which a place is black: it tells nothing of the light's level."""
_INSIDE, _PERSON, _NEAR_PERSON = 240, 128, 40
"""Mattes, 0 … 255: surely the actor; more actor than set; a trace of the actor."""
_KEY_ANGLE_RAD = {"shadow": math.radians(3), "shading": math.radians(8), "prior": math.radians(20)}
"""By what told its direction: the less sure that is, the softer the key."""


@dataclass(frozen=True)
class LightSample:
    """One frame of the shot, what it is without its actor, and where the actor's body is in it."""

    frame: UInt8[np.ndarray, "height width 3"]
    plate: UInt8[np.ndarray, "height width 3"]
    matte: UInt8[np.ndarray, "height width"]
    """Of the actor, 0 … 255."""
    normals: Float[np.ndarray, "height width 3"]
    """Of the fitted body: unit, world frame, zero elsewhere."""
    K: Float[np.ndarray, "3 3"]
    T_world_camera: Float[np.ndarray, "4 4"]
    root_position_m: Float[np.ndarray, "3"]
    """The actor's hips in the world."""
    height_m: float
    """The actor's."""


@dataclass(frozen=True)
class LightEstimate:
    """A light and how it was found."""

    light: Light
    found_by: Literal["shadow", "shading", "prior"]
    """What told the key's direction: the cast shadow, the actor's shading, or nothing in the shot."""
    confidence: float
    """0 … 1."""


@dataclass(frozen=True)
class _Key:
    """A key's direction and how much of the light on level ground is fill."""

    direction: Float[np.ndarray, "3"]
    fill_share: Float[np.ndarray, "3"]
    confidence: float


def estimate_light(samples: Sequence[LightSample], believe_shadow: bool = True) -> LightEstimate:
    """The set's light from about ten well-spread frames; soft light from above where the shot does not tell.

    Without `believe_shadow`, what is dark on the ground tells nothing.

    Raises:
        ValueError: no samples.
    """
    if not samples:
        raise ValueError("a light is estimated from at least one frame")
    prior = _prior(samples)
    cast, shading = _from_cast_shadow(samples) if believe_shadow else None, _from_shading(samples)
    if cast is not None:
        return LightEstimate(_light(cast, samples, _KEY_ANGLE_RAD["shadow"]), "shadow", cast.confidence)
    if shading is not None:
        # The body's normals are those of a fit, and clothes have folds and patterns: the prior keeps its say.
        share = shading.confidence
        direction = share * shading.direction + (1 - share) * prior.direction
        fill = np.maximum(share * shading.fill_share + (1 - share) * prior.fill_share, _MIN_SHADED_FILL)
        mixed = _Key(direction / np.linalg.norm(direction), fill, share)
        return LightEstimate(_light(mixed, samples, _KEY_ANGLE_RAD["shading"]), "shading", share)
    return LightEstimate(_light(prior, samples, _KEY_ANGLE_RAD["prior"]), "prior", 0.0)


def _prior(samples: Sequence[LightSample]) -> _Key:
    """Soft light from above, a little from the camera's side, as most sets are lit."""
    middle = samples[len(samples) // 2]
    to_camera = middle.T_world_camera[:3, 3] - middle.root_position_m
    across = np.array([to_camera[0], 0.0, to_camera[2]])
    across = across / max(float(np.linalg.norm(across)), 1e-9)
    direction = np.array([0.2, 1.0, 0.0]) + 0.45 * across
    return _Key(direction / np.linalg.norm(direction), np.full(3, _PRIOR_FILL), 0.0)


def _light(key: _Key, samples: Sequence[LightSample], key_angle_rad: float) -> Light:
    """Strength and tints from the plate and the actor, for a key of known direction and share."""
    plates = [linear_from_srgb_bytes(sample.plate[::4, ::4]).astype(np.float64) for sample in samples]
    tint = np.median([_tint(plate) for plate in plates], 0)
    ground = np.median([_ground_colour(sample) for sample in samples], 0)
    mean_share = float(key.fill_share @ LUMA)
    fill_share = np.clip(key.fill_share, (1 - _MAX_FILL_TINT) * mean_share, (1 + _MAX_FILL_TINT) * mean_share)
    fill_share = np.clip(fill_share, *_FILL_SHARE)
    elevation = max(float(key.direction[1]), _MIN_ELEVATION_SINE)
    key_colour, fill_sky = (1 - fill_share) * tint / elevation, fill_share * tint
    # What the ground throws back: a share of what falls on it, half way to its own colour: the set's walls, which are
    # of other colours, throw light back as well.
    hue = np.sqrt(np.clip(ground / max(float(ground @ LUMA), 1e-4), 0.3, 2.0))
    bounce = hue / (hue @ LUMA) * _GROUND_ALBEDO * tint
    unit = Light(key.direction, key_colour, fill_sky, bounce, key_angle_rad)
    strength = _strength(unit, samples)
    return Light(key.direction, strength * key_colour, strength * fill_sky, strength * bounce, key_angle_rad)


def _strength(light: Light, samples: Sequence[LightSample]) -> float:
    """How many times as strong as `light` the shot's is: three witnesses, weighed by how far each is usually off.

    What the actor's visible side and what stands around give back of what falls on them, and how bright a white surface
    that faces the key is in an exposed film.
    """
    visible = _mean_irradiance(light, samples)
    level = float((light.key_direction[1].clip(0) * light.key_colour + light.fill_sky) @ LUMA)
    facing = float((light.key_colour + 0.5 * (1 + light.key_direction[1]) * light.fill_sky) @ LUMA)
    around = float(np.median([_surroundings(sample) for sample in samples], 0) @ LUMA)
    bodies = [
        linear_from_srgb_bytes(sample.frame[sample.matte > _INSIDE]).astype(np.float64) @ LUMA for sample in samples
    ]
    bodies = [np.exp(np.log(np.maximum(body, _MIN_LIGHT)).mean()) for body in bodies if len(body) > 100]
    says = {
        # Walls and things face the camera as the actor does, or the sky.
        "set": max(around, _MIN_LIGHT) / (_SET_ALBEDO * np.sqrt(visible * level)),
        "white": _EXPOSED_WHITE / facing,
    }
    if bodies:
        says["actor"] = float(np.median(bodies)) / (_ACTOR_ALBEDO * visible)
    weights = {name: _LEVEL_SPREAD[name] ** -2 for name in says}
    return float(np.exp(sum(weights[n] * np.log(says[n]) for n in says) / sum(weights.values())))


def _mean_irradiance(light: Light, samples: Sequence[LightSample]) -> float:
    """What a light sends to the visible side of the actor, as luminance; to a slope towards the camera if none is."""
    normals = np.concatenate([sample.normals[::4, ::4].reshape(-1, 3) for sample in samples]).astype(np.float64)
    normals = normals[np.linalg.norm(normals, axis=1) > 0.5]
    if len(normals) < 20:
        normals = _prior(samples).direction[None]
    upward = 0.5 + 0.5 * normals[:, 1:2]
    fill = upward * light.fill_sky + (1 - upward) * light.fill_ground
    direct = np.maximum(normals @ light.key_direction, 0)[:, None] * light.key_colour
    return max(float(((fill + direct) @ LUMA).mean()), 1e-3)


def _surroundings(sample: LightSample) -> Float[np.ndarray, "3"]:
    """Mean linear light of the plate behind and around the actor."""
    reach = 2 * (sample.matte.shape[0] // 8) + 1
    near = cv2.dilate((sample.matte > _NEAR_PERSON).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    picture = sample.plate[near] if near.any() else sample.plate.reshape(-1, 3)
    return linear_from_srgb_bytes(picture).astype(np.float64).mean(0)


def _tint(plate: Float[np.ndarray, "rows columns 3"]) -> Float[np.ndarray, "3"]:
    """The light's tint, of luminance one; half way from grey to what the plate's brighter places suggest.

    Source: Finlayson and Trezzi 2004, Shades of gray and colour constancy (the norm of degree six).
    """
    usable = plate.reshape(-1, 3)
    usable = usable[usable.max(1) < 0.95]
    if len(usable) < 100:
        return np.ones(3)
    norm = np.maximum((usable**6).mean(0) ** (1 / 6), 1e-4)
    tint = np.sqrt(np.clip(norm / (norm @ LUMA), 0.6, 1.6))
    return tint / (tint @ LUMA)


def _ground_colour(sample: LightSample) -> Float[np.ndarray, "3"]:
    """Mean linear light of the plate on the ground around the actor's feet."""
    points, pixels = _ground_points(sample)
    feet = sample.root_position_m[[0, 2]]
    near = np.linalg.norm(points - feet, axis=1) < 1.2 * sample.height_m
    picture = sample.plate[::_STEP, ::_STEP].reshape(-1, 3)[pixels[near]]
    if len(picture) < 20:
        picture = sample.plate[-sample.plate.shape[0] // 4 :: _STEP, ::_STEP].reshape(-1, 3)
    return linear_from_srgb_bytes(picture).astype(np.float64).mean(0)


_STEP = 2


def _ground_points(sample: LightSample) -> tuple[Float[np.ndarray, "n 2"], np.ndarray]:
    """Where the pixels of every second row and column meet the ground (x, z in metres), and which pixels do."""
    height, width = sample.matte.shape
    y, x = np.mgrid[0:height:_STEP, 0:width:_STEP] + 0.5
    rays = np.stack([x.ravel(), y.ravel(), np.ones(x.size)], -1) @ np.linalg.inv(sample.K).T
    rays = rays @ sample.T_world_camera[:3, :3].T
    origin = sample.T_world_camera[:3, 3]
    down = rays[:, 1] < -1e-3
    if origin[1] <= 0.05:
        down[:] = False
    distance = -origin[1] / np.where(down, rays[:, 1], -1.0)
    points = origin[[0, 2]] + rays[:, [0, 2]] * distance[:, None]
    pixels = np.flatnonzero(down)
    return points[pixels], pixels


def near_ground(sample: LightSample) -> Bool[np.ndarray, "rows columns"]:
    """Where the actor's shadow may lie: of every second row and column, the ground within a few heights."""
    points, pixels = _ground_points(sample)
    near = np.zeros(sample.matte[::_STEP, ::_STEP].shape, bool)
    reach_m = _SHADOW_REACH * sample.height_m
    near.flat[pixels] = np.linalg.norm(points - sample.root_position_m[[0, 2]], axis=1) < reach_m
    return near


def _from_cast_shadow(samples: Sequence[LightSample]) -> _Key | None:
    """The key from where the ground is darker than in the plate; None without a clear shadow."""
    weights, offsets, ratios, heights = [], [], [], []
    for sample in samples:
        points, pixels = _ground_points(sample)
        if len(pixels) == 0:
            continue
        frame = _soft_linear(sample.frame).reshape(-1, 3)[pixels]
        plate = _soft_linear(sample.plate).reshape(-1, 3)[pixels]
        person = cv2.dilate(sample.matte, np.ones((9, 9), np.uint8))[::_STEP, ::_STEP].ravel()[pixels] > 10
        ratio = (frame + 1e-3) / (plate + 1e-3)
        brightness = ratio @ LUMA
        offset = points - sample.root_position_m[[0, 2]]
        distance = np.linalg.norm(offset, axis=1)
        shadow = (
            (brightness < _SHADOW_RATIO)
            & (np.ptp(ratio, axis=1) < _MAX_SHADOW_TINT)
            & ~person
            & (plate @ LUMA > _MIN_GROUND_LIGHT)
            & (distance < _SHADOW_REACH * sample.height_m)
        )
        person_area = np.count_nonzero(sample.matte[::_STEP, ::_STEP] > _PERSON)
        if np.count_nonzero(shadow) < max(_MIN_SHADOW_SHARE * person_area, _MIN_SHADOW_PIXELS):
            continue
        # By its area on the ground, not in the picture: far ground is seen foreshortened.
        depth = np.linalg.norm(points[shadow] - sample.T_world_camera[[0, 2], 3], axis=1)
        weights.append((1 - brightness[shadow]) * depth**2 / np.median(depth**2))
        offsets.append(offset[shadow])
        ratios.append(ratio[shadow])
        heights.append(sample.height_m)
    if len(weights) < max(1, len(samples) // 4):
        return None
    weight, offset, ratio = np.concatenate(weights), np.concatenate(offsets), np.concatenate(ratios)
    unit = offset / np.maximum(np.linalg.norm(offset, axis=1, keepdims=True), 1e-6)
    mean = (unit * weight[:, None]).sum(0) / weight.sum()
    concentration = float(np.linalg.norm(mean))
    if concentration < _MIN_CONCENTRATION:
        return None
    away = mean / concentration
    along = offset @ away
    order = np.argsort(along)
    share = np.cumsum(weight[order]) / weight.sum()
    # The far end is the head's shadow.
    length = max(float(along[order][np.searchsorted(share, _SHADOW_LENGTH_QUANTILE)]), 0.1)
    elevation = float(np.clip(np.arctan2(_HEAD_SHARE * np.mean(heights), length), *_ELEVATION_RAD))
    direction = np.array([-away[0] * np.cos(elevation), np.sin(elevation), -away[1] * np.cos(elevation)])
    umbra = ratio[ratio @ LUMA <= np.percentile(ratio @ LUMA, _UMBRA_PERCENTILE)]
    return _Key(direction, np.median(umbra, 0), float(np.clip((concentration - 0.5) * 2, 0, 1)))


def _soft_linear(picture: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "rows columns 3"]:
    """Linear light of every second row and column, without grain."""
    return linear_from_srgb_bytes(cv2.GaussianBlur(picture, (0, 0), 2.0)[::_STEP, ::_STEP]).astype(np.float64)


def _from_shading(samples: Sequence[LightSample]) -> _Key | None:
    """The key from how the actor's brightness follows the body's normals; None where it hardly does.

    Brightness = albedo of the cloth × (fill + cosine to the key), one light for all and an albedo for each of four
    colours of cloth; all directions above and a little below the horizon are tried.
    """
    normals, colours = [], []
    for sample in samples:
        inner = cv2.erode((sample.matte > _INSIDE).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        inner &= (np.linalg.norm(sample.normals, axis=-1) > 0.5) & (sample.frame.max(-1) < 250)
        rows, columns = np.nonzero(inner)
        step = max(1, len(rows) // 3000)
        normals.append(sample.normals[rows[::step], columns[::step]])
        soft = cv2.GaussianBlur(sample.frame, (0, 0), 1.5)
        colours.append(linear_from_srgb_bytes(soft[rows[::step], columns[::step]]))
    normal, colour = np.concatenate(normals).astype(np.float64), np.concatenate(colours).astype(np.float64)
    if len(normal) < _MIN_SHADED_PIXELS:
        return None
    step = max(1, len(normal) // 6000)
    brightness = np.maximum(colour @ LUMA, 1e-4)[::step]
    direction, fill, explained = _search_key(normal[::step], brightness, _cloths(colour)[::step])
    if explained < _MIN_EXPLAINED or fill >= _FILLS[-1]:
        return None
    share = fill / (fill + max(float(direction[1]), _MIN_ELEVATION_SINE))
    return _Key(direction, np.full(3, share), float(np.clip(explained * 2, 0, _MAX_SHADING_CONFIDENCE)))


def _cloths(colour: Float[np.ndarray, "n 3"]) -> np.ndarray:
    """Four kinds of cloth (or skin), told apart by hue and, less so, by brightness."""
    total = np.maximum(colour.sum(1, keepdims=True), 1e-4)
    feature = np.concatenate([colour / total, 0.08 * np.log(total)], 1).astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 30, 1e-4)
    cv2.setRNGSeed(1)
    _, labels, _ = cv2.kmeans(
        feature, _CLOTHS, np.zeros((len(feature), 1), np.int32), criteria, 2, cv2.KMEANS_PP_CENTERS
    )
    return labels[:, 0]


_FILLS = (0.15, 0.3, 0.5, 0.8, 1.3, 2.0, 4.0)
"""Fill over key, as tried."""


def _search_key(
    normal: Float[np.ndarray, "n 3"], brightness: Float[np.ndarray, " n"], cloth: np.ndarray
) -> tuple[Float[np.ndarray, "3"], float, float]:
    """The key's direction, fill over key, and the share of the variance within each cloth that they explain."""
    size = np.bincount(cloth, minlength=_CLOTHS)
    typical = np.bincount(cloth, brightness, _CLOTHS) / np.maximum(size, 1)
    relative = brightness / np.maximum(typical[cloth], 1e-5)
    # Highlights and holes in the fit are outliers: errors count up to a limit.
    limit = 2.0 * float(np.median(np.abs(relative - 1))) + 0.05

    def error(shade: Float[np.ndarray, " n"]) -> float:
        albedo = np.bincount(cloth, relative * shade, _CLOTHS) / np.maximum(np.bincount(cloth, shade**2, _CLOTHS), 1e-9)
        return float((np.minimum(np.abs(relative - albedo[cloth] * shade), limit) ** 2).mean())

    flat = error(np.ones(len(normal)))
    best_direction, best_fill, best_error = np.array([0.0, 1.0, 0.0]), _FILLS[-1], flat
    for direction in _sky(400):
        cosine = np.maximum(normal @ direction, 0)
        for fill in _FILLS:
            if (candidate := error(fill + cosine)) < best_error:
                best_direction, best_fill, best_error = direction, fill, candidate
    return best_direction, best_fill, 1 - best_error / max(flat, 1e-12)


def _sky(count: int) -> Float[np.ndarray, "n 3"]:
    """Directions evenly spread over the sky, from ten degrees above the horizon up (a Fibonacci lattice)."""
    y = 1 - (np.arange(count) + 0.5) / count * (1 - np.sin(np.radians(10)))
    turn = np.arange(count) * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - y**2)
    return np.stack([flat * np.cos(turn), y, flat * np.sin(turn)], -1)
