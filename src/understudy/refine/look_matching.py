"""What makes a render belong to a shot, measured once on samples of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.core.environment import Light
from understudy.core.passes import Layer
from understudy.imaging.colour import LUMA, linear_from_srgb_bytes, srgb_bytes_from_linear
from understudy.imaging.grain import Grain, estimate_grain, flat_areas
from understudy.refine.compose import Look
from understudy.runtime.checks import check_options

__all__ = ["LookSample", "RefineConfig", "measure_look"]


@dataclass(frozen=True)
class RefineConfig:
    """Which parts of the match are made, and how far they may go."""

    shadow: bool = True
    """The character's shadow on the ground."""
    colour_match: bool = True
    """Exposure and white balance of the character after the actor and the set."""
    lens_match: bool = True
    """Sharpness and black level."""
    grain: bool = True
    """The shot's grain on the character."""
    light_wrap: bool = True
    """Light from behind over the character's edges."""
    max_gain: float = 1.3
    """How far the colour match may brighten or darken, as a factor."""
    gain_share: float = 0.25
    """How much of the measured difference in brightness is made up for: costumes may well differ from each other."""
    max_blur_px: float = 2.5
    """Most blur, for a picture 720 pixels high."""
    min_shadow: float = 0.3
    """What a full shadow takes at least, where the light is all fill: feet touch the ground in any weather."""

    def __post_init__(self) -> None:
        check_options(self, max_gain=(1, 100), gain_share=(0, 1), max_blur_px=(0, 100), min_shadow=(0, 1))


@dataclass(frozen=True)
class LookSample:
    """One frame of the shot, what it is without its actor, and what was rendered for it."""

    frame: UInt8[np.ndarray, "height width 3"]
    plate: UInt8[np.ndarray, "height width 3"]
    matte: UInt8[np.ndarray, "height width"]
    """Of the actor, 0 … 255."""
    layer: Layer


def measure_look(samples: Sequence[LookSample], light: Light, config: RefineConfig | None = None) -> Look:
    """The look of a shot from about ten frames, well spread. Without samples: nothing but the shadow is matched."""
    config = config or RefineConfig()
    height = samples[0].matte.shape[0] if samples else 720
    gain = _gain(samples, config) if config.colour_match and samples else np.ones(3)
    lens = config.lens_match and bool(samples)
    return Look(
        shadow_share=shadow_share(light, config.min_shadow) if config.shadow else np.zeros(3),
        gain=gain,
        black=_black(samples) if lens else np.zeros(3),
        blur_px=_missing_blur(samples, config.max_blur_px * height / 720) if lens else 0.0,
        grain=_grain(samples) if config.grain and samples else None,
        light_wrap=0.2 if config.light_wrap else 0.0,
        wrap_px=0.004 * height,
    )


def shadow_share(light: Light, min_share: float) -> Float[np.ndarray, "3"]:
    """How much of the light on level ground comes from the key: what a full shadow takes."""
    key = np.maximum(light.key_colour, 0) * max(float(light.key_direction[1]), 0.0)
    total = key + np.maximum(light.fill_sky, 0)
    return np.clip(key / np.maximum(total, 1e-6), min_share, 0.95)


def _gain(samples: Sequence[LookSample], config: RefineConfig) -> Float[np.ndarray, "3"]:
    """From the character's mean light towards the actor's and the surroundings', part of the way."""
    character, actor, around = [], [], []
    for sample in samples:
        inside = sample.layer.alpha > 0.95
        body = sample.matte > 240
        if inside.sum() < 200 or body.sum() < 200:
            continue
        character.append(_log_mean(sample.layer.colour[inside]))
        actor.append(_log_mean(linear_from_srgb_bytes(sample.frame[body])))
        reach = 2 * (max(3, sample.matte.shape[0] // 12)) + 1
        near = cv2.dilate((sample.matte > 40).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
        around.append(_log_mean(linear_from_srgb_bytes(sample.plate[near])))
    if not character:
        return np.ones(3)
    own, actor_mean, around_mean = (np.median(values, 0) for values in (character, actor, around))
    difference = 0.5 * (actor_mean + around_mean) - own
    brightness = float(difference @ LUMA)
    # White balance: what actor and set have in common is the light's tint; a share of it, for clothes are no grey card.
    tint = 0.5 * (actor_mean + around_mean)
    tint = tint - tint @ LUMA - (own - own @ LUMA)
    log_gain = np.clip(config.gain_share * brightness, -np.log(config.max_gain), np.log(config.max_gain))
    return np.exp(log_gain + np.clip(0.12 * tint, -0.06, 0.06))


def _log_mean(light: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "3"]:
    return np.log(np.maximum(light.astype(np.float64), 0.004)).mean(0)


def _black(samples: Sequence[LookSample]) -> Float[np.ndarray, "3"]:
    """The veil over the shot's deepest black: its very darkest light, held under two per cent of white."""
    lows = [
        np.percentile(linear_from_srgb_bytes(sample.frame[::4, ::4]).reshape(-1, 3), 0.02, axis=0) for sample in samples
    ]
    return np.clip(np.median(lows, 0), 0.0, 0.02)


def _missing_blur(samples: Sequence[LookSample], max_px: float) -> float:
    """The blur that the render lacks: the actor's sharpest edges against the character's."""
    filmed, rendered = [], []
    for sample in samples:
        body = cv2.erode((sample.matte > 200).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        filmed += [_edge_radius(_grey(sample.frame), body)]
        character = sample.layer.alpha > 0.99
        inside = cv2.erode(character.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        rendered += [_edge_radius(_grey(srgb_bytes_from_linear(sample.layer.colour)), inside)]
    filmed, rendered = [r for r in filmed if r is not None], [r for r in rendered if r is not None]
    if not filmed:
        return 0.0
    # A plain character may have no edges of its own; a render's are about half a pixel wide.
    own = float(np.median(rendered)) if rendered else 0.5
    missing = float(np.median(filmed)) ** 2 - own**2
    return float(np.clip(np.sqrt(max(missing, 0.0)), 0.0, max_px))


def _grey(picture: UInt8[np.ndarray, "height width 3"]) -> Float[np.ndarray, "height width"]:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _edge_radius(grey: Float[np.ndarray, "height width"], inside: Bool[np.ndarray, "height width"]) -> float | None:
    """Sigma of the blur of the sharper edges in a region, in pixels; None where there are hardly any edges.

    Source: Zhuo and Sim 2011, Defocus map estimation from a single image: blurred once more by s, an edge's slope falls
    by the factor sigma / sqrt(sigma² + s²).
    """
    if np.count_nonzero(inside) < 200:
        return None
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    grey, inside = cv2.GaussianBlur(grey[box], (0, 0), 0.6), inside[box]
    again = 1.2
    first, second = _slope(grey), _slope(cv2.GaussianBlur(grey, (0, 0), again))
    strong = inside & (first > max(6.0, float(np.percentile(first[inside], 95)))) & (first > second * 1.02)
    if np.count_nonzero(strong) < 40:
        return None
    ratio = first[strong] / np.maximum(second[strong], 1e-3)
    total = again / np.sqrt(np.maximum(ratio**2 - 1, 1e-4))
    # The blur that we put in ourselves against noise is taken away again.
    return float(np.sqrt(max(float(np.percentile(total, 30)) ** 2 - 0.6**2, 0.0)))


def _slope(grey: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    x = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8)
    y = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8)
    return cv2.magnitude(x, y)


def _grain(samples: Sequence[LookSample]) -> Grain:
    """What is left of the shot's flat areas when they are smoothed."""
    residuals, luminances, usables = [], [], []
    for sample in samples[: _grain_samples(samples[0].matte.size)]:
        picture = sample.frame.astype(np.float32)
        smooth = cv2.GaussianBlur(picture, (0, 0), _SMOOTH_PX)
        residual = (picture - smooth) / _KEPT
        luminance = smooth @ LUMA
        # Clipped white and black have no grain to measure.
        inside = (picture.min(-1) > 3) & (picture.max(-1) < 252)
        softer = cv2.GaussianBlur(smooth, (0, 0), 2.0)
        usable = inside & np.logical_and.reduce([flat_areas(softer[..., channel], 0.6) for channel in range(3)])
        usable = cv2.erode(usable.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        residuals.append(residual)
        luminances.append(luminance)
        usables.append(usable)
    return estimate_grain(np.concatenate(residuals), np.concatenate(luminances), np.concatenate(usables))


def _grain_samples(pixels: int) -> int:
    """How many frames of so many pixels are looked at: six tell the grain of a small picture, one that of a large."""
    return int(np.clip(_GRAIN_PIXELS // pixels, 1, 6))


_GRAIN_PIXELS = 6 * 1280 * 720
"""In all frames together: more make the grain's strength no surer, and each takes 100 bytes of memory."""
_SMOOTH_PX = 2.5
_KEPT = float(np.sqrt(1 - 2 / (2 * np.pi * _SMOOTH_PX**2) + 1 / (4 * np.pi * _SMOOTH_PX**2)))
"""What a smoothing leaves of white noise's deviation when it is taken away: 1 − 2 g(0) + Σ g²."""
