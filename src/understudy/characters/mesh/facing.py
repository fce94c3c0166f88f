"""Which way a mesh without a skeleton stands and looks: up by its extents, ahead by its symmetry and its feet."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from understudy.characters.mesh.registering import UPS, SurfacePoints, feet_ahead, silhouette
from understudy.geometry.rotations import matrix_from_vector

__all__ = ["Stance", "likely_stances"]

UPRIGHT = 1.3
"""A figure is more than so many times as tall as it is deep: only where neither axis is, both count as up."""
SYMMETRY_WEIGHT = 2.0
"""Seen from the front a figure is its own mirror image (overlap 0.85 and more), from the side it is not (0.4 … 0.7)."""
FORWARD_BONUS = 0.2
"""For the side that the file says is the front: feet that reach ahead count five times as much."""


@dataclass(frozen=True)
class Stance:
    """One way in which a mesh may stand and look."""

    R: Float[np.ndarray, "3 3"]
    """Turns the mesh to +Y up, facing +Z."""
    likeness: float
    """How much speaks for it: the larger, the more."""


def likely_stances(surface: SurfacePoints) -> tuple[Stance, Stance]:
    """The likeliest stance of a figure, and the same turned back to front; turns are whole quarters."""
    extent = np.ptp(surface.places, axis=0)
    ups = [up for up, tall, deep in ((UPS[0], 1, 2), (UPS[1], 2, 1)) if extent[tall] * UPRIGHT > extent[deep]]
    stances = [_stance(surface, up, quarter) for up in ups for quarter in range(4)]
    best = max(stances, key=lambda one: one.likeness)
    back = next(one for one in stances if np.allclose(one.R, np.diag([-1.0, 1.0, -1.0]) @ best.R))
    return best, back


def _stance(surface: SurfacePoints, up: Float[np.ndarray, "3 3"], quarter: int) -> Stance:
    azimuth = 0.5 * np.pi * quarter
    R = matrix_from_vector(np.array([0.0, azimuth, 0.0])) @ up
    symmetry = _own_mirror_image(silhouette(surface, R))
    ahead = feet_ahead(R @ surface.places.T)
    return Stance(R, SYMMETRY_WEIGHT * symmetry + ahead + FORWARD_BONUS * float(np.cos(azimuth)))


def _own_mirror_image(mask: Bool[np.ndarray, "tall wide"]) -> float:
    """Intersection over union of a silhouette and its mirror image, the box of which is in the middle, 0 … 1."""
    mirrored = mask[:, ::-1]
    return float((mask & mirrored).sum() / max((mask | mirrored).sum(), 1))
