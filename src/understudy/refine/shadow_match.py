"""The key's direction and softness, by rendering the actor's shadow until it lies where the shot's lies."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Bool, Float

from understudy.core.environment import Light
from understudy.imaging.colour import LUMA, linear_from_srgb_bytes
from understudy.refine.light import LightSample, near_ground

__all__ = ["ShadowCaster", "match_shadow"]

STEPS_RAD = tuple(math.radians(step) for step in (8.0, 4.0, 2.0))
RADII_RAD = tuple(math.radians(radius) for radius in (0.3, 0.8, 1.5, 2.2, 4.5, 6.5, 10.0))
"""Of the key, as tried: the sun … a large soft box."""
FARTHEST_RAD = math.radians(25.0)
"""From where the search starts: what seems to lie further off is something else."""
ELEVATIONS_RAD = (math.radians(10.0), math.radians(85.0))
OUTLIER = 0.5
"""Difference in darkness that counts like any larger one: the set may darken for other reasons."""
ABOUT_AS_WELL = 1.1
"""Up to so many times the least error."""
MIN_EXPLAINED = 0.4
"""Of the darkness on the ground, as squares: a shadow must explain so much, or the ground is dark for other reasons."""
DARK = 0.12
"""Darkness from which the ground counts for how dark a full shadow is."""


@runtime_checkable
class ShadowCaster(Protocol):
    """Renders the actor's shadow."""

    def __call__(self, light: Light, sample: int) -> Float[np.ndarray, "height width"]:
        """The share of the key that the actor keeps from the ground in a sample's picture, 0 … 1."""
        ...


def match_shadow(
    light: Light, samples: Sequence[LightSample], cast: ShadowCaster, size_px: tuple[int, int]
) -> Light | None:
    """A light whose key throws the actor's shadow where, and as soft as, the shot shows it; None where none does.

    Looks around `light` in ever smaller steps. What the key gives to level ground stays. `size_px` is the width and
    height at which `cast` renders: small ones do.
    """
    seen = [_seen(sample, size_px) for sample in samples]
    dark = np.concatenate([darkness[counts & (darkness > DARK)] for darkness, counts in seen])
    if not len(dark):
        return None
    full = float(np.percentile(dark, 70))

    def error(candidate: Light | None) -> float:
        parts = []
        for number, (darkness, counts) in enumerate(seen):
            thrown = 0.0 if candidate is None else full * cast(candidate, number)
            parts.append(np.minimum(np.abs(thrown - darkness), OUTLIER)[counts] ** 2)
        return float(np.concatenate(parts).mean())

    def best_of(start: tuple[float, Light], candidates: list[Light]) -> tuple[float, Light]:
        near = (c for c in candidates if float(c.key_direction @ light.key_direction) > math.cos(FARTHEST_RAD))
        return min([start, *((error(candidate), candidate) for candidate in near)], key=lambda found: found[0])

    best = (error(light), light)
    for step in STEPS_RAD:
        best = best_of(best, _turned(best[1], step))
    # Not before: a shadow that lies elsewhere is best hidden by a soft one. For the same reason the hardest that fits
    # about as well is taken: the body's fit is a little off everywhere.
    softer = [replace(best[1], key_angle_rad=radius) for radius in RADII_RAD]
    errors = [error(candidate) for candidate in softer]
    best = next(found for found in zip(errors, softer, strict=True) if found[0] <= ABOUT_AS_WELL * min(errors))
    best = best_of(best, _turned(best[1], STEPS_RAD[-1]))
    return best[1] if best[0] < (1 - MIN_EXPLAINED) * error(None) else None


def _turned(light: Light, step_rad: float) -> list[Light]:
    """Lights from a step and two to the sides, up and down, which give level ground as much."""
    x, y, z = light.key_direction
    azimuth, elevation = math.atan2(z, x), math.asin(float(np.clip(y, -1, 1)))
    lights = []
    for turn, rise in ((1, 0), (-1, 0), (2, 0), (-2, 0), (0, 1), (0, -1), (0, 2), (0, -2)):
        up = float(np.clip(elevation + rise * step_rad, *ELEVATIONS_RAD))
        around = azimuth + turn * step_rad
        direction = np.array([math.cos(up) * math.cos(around), math.sin(up), math.cos(up) * math.sin(around)])
        lights.append(replace(light, key_direction=direction, key_colour=light.key_colour * y / direction[1]))
    return lights


def _seen(
    sample: LightSample, size: tuple[int, int]
) -> tuple[Float[np.ndarray, "height width"], Bool[np.ndarray, "height width"]]:
    """How much darker the ground is than its plate, 0 … 1, and where that can be seen, at a size."""
    frame, plate = (
        linear_from_srgb_bytes(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)) @ LUMA
        for picture in (sample.frame, sample.plate)
    )
    person = cv2.dilate(cv2.resize(sample.matte, size, interpolation=cv2.INTER_AREA), np.ones((7, 7), np.uint8)) > 10
    ground = cv2.resize(near_ground(sample).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    return np.clip(1 - (frame + 1e-3) / (plate + 1e-3), 0, 1), ground & ~person
