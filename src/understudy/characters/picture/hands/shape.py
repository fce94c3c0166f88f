"""A hand from its joints: fingers and palm as limbs of an implicit surface.

Source: Bloomenthal and Shoemake, "Convolution Surfaces", 1991 (limbs around a skeleton; here rounded cones, united
smoothly as in Quilez, "smooth minimum"); thicknesses as on the body model's hand.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

__all__ = ["FINGERS", "KNUCKLES", "WRIST", "Limbs", "hand_length", "hand_limbs"]

WRIST = 0
KNUCKLES = (5, 9, 13, 17)
"""Where the fingers begin, index finger first."""
FINGERS = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 10, 11, 12), (13, 14, 15, 16), (17, 18, 19, 20))
"""Joints of each finger, thumb first, from root to tip."""
RADII = (
    (0.080, 0.070, 0.055, 0.045),
    (0.060, 0.050, 0.044, 0.037),
    (0.062, 0.052, 0.046, 0.038),
    (0.060, 0.049, 0.043, 0.036),
    (0.055, 0.044, 0.039, 0.032),
)
"""Of each finger at its joints, in lengths of the hand."""
HEEL_RADIUS, KNUCKLE_RADIUS = 0.095, 0.068
"""Half thickness of the palm at the wrist and at the knuckles, in lengths of the hand."""
HEEL_SHARE = 0.17
"""How far to the sides the palm's heel reaches, of the width across the knuckles."""
RAYS = 7
"""Limbs side by side that make up the palm."""


@dataclass(frozen=True)
class Limbs:
    """Rounded cones, each a straight limb between two balls."""

    start: Float[np.ndarray, "limb 3"]
    end: Float[np.ndarray, "limb 3"]
    start_radius: Float[np.ndarray, " limb"]
    end_radius: Float[np.ndarray, " limb"]

    def depth(self, points: Float[np.ndarray, "point d"], scale: float) -> Float[np.ndarray, "limb point"]:
        """About how deep points lie within each limb whose radii are `scale` times as large; of points with two
        coordinates: within its outline in the picture."""
        dimensions = points.shape[1]
        depths = np.empty((len(self.start), len(points)))
        for index in range(len(self.start)):
            a, b = self.start[index, :dimensions], self.end[index, :dimensions]
            along = b - a
            share = np.clip((points - a) @ along / max(float(along @ along), 1e-9), 0, 1)
            radius = self.start_radius[index] + share * (self.end_radius[index] - self.start_radius[index])
            depths[index] = scale * radius - np.linalg.norm(points - a - share[:, None] * along, axis=1)
        return depths


def hand_length(joints: Float[np.ndarray, "21 3"]) -> float:
    """From the wrist to the middle finger's tip, along its bones."""
    return float(np.linalg.norm(np.diff(joints[[WRIST, *FINGERS[2]]], axis=0), axis=1).sum())


def hand_limbs(joints: Float[np.ndarray, "21 3"]) -> tuple[Limbs, tuple[Limbs, ...]]:
    """The palm, and the fingers, thumb first."""
    length = hand_length(joints)
    fingers = tuple(
        Limbs(joints[list(finger[:-1])], joints[list(finger[1:])], length * np.array(radii[:-1]),
              length * np.array(radii[1:]))
        for finger, radii in zip(FINGERS, RADII, strict=True)
    )  # fmt: skip
    place = np.linspace(0, 3, RAYS)
    ends = np.stack([np.interp(place, np.arange(4), joints[list(KNUCKLES), axis]) for axis in range(3)], -1)
    across = joints[KNUCKLES[0]] - joints[KNUCKLES[-1]]
    starts = joints[WRIST] + np.linspace(1, -1, RAYS)[:, None] * HEEL_SHARE * across
    # The web between thumb and index finger.
    starts = np.concatenate([starts, joints[[WRIST, 1]]])
    ends = np.concatenate([ends, joints[[1, 5]]])
    thick = np.full(RAYS, HEEL_RADIUS), np.full(RAYS, KNUCKLE_RADIUS)
    palm = Limbs(starts, ends, length * np.append(thick[0], (0.09, 0.07)), length * np.append(thick[1], (0.08, 0.055)))
    return palm, fingers
