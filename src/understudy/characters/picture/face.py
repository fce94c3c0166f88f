"""Relief of a face on an inflated head."""

import numpy as np
from jaxtyping import Float, Int
from scipy.interpolate import LinearNDInterpolator

from understudy.characters.picture.inflate import stylisation
from understudy.characters.picture.parts import PARTS, FigureGrid
from understudy.geometry.vectors import smooth_step

__all__ = ["carve_face"]

LEFT_RIM, RIGHT_RIM, TOP, CHIN = 454, 234, 10, 152
"""Points of the face's surface on its rim: beside the ears, on the forehead, below the mouth."""
FADE = 0.15
"""Over this share of the face's width relief fades out towards the rim."""
MAX_RELIEF = 0.22
"""A nose stands out by a sixth of the face's width from an egg-shaped head (Farkas 1994, Anthropometry of the Head and
Face); more than this share is an error, not a face."""
MIN_WIDTH_CELLS = 4.0
"""Narrower faces have no features that the grid could hold."""
MIN_SEEN = 0.6
"""Share of a face's points that must lie on the head's front; with fewer it is not this head's face."""


def carve_face(
    grid: FigureGrid,
    vertices: Float[np.ndarray, "vertex 3"],
    normals: Float[np.ndarray, "vertex 3"],
    part_at: Int[np.ndarray, " vertex"],
    face: Float[np.ndarray, "468 3"] | None,
) -> Float[np.ndarray, "vertex 3"]:
    """Nose, brow, lips, chin and eye sockets as the face in the picture has them, in grid cells.

    Inflation knows silhouettes only and leaves a face as smooth as an egg. Head's depth, its tilt and its roundness
    from side to side stay inflation's; what is added is how the face's surface differs from it, at most MAX_RELIEF of
    its width, less for stylised figures, and nothing at the rim. Without a face nothing changes.

    Args:
        face: points of Face Mesh in grid cells (x right, y down, z towards the viewer).
    """
    if face is None:
        return vertices
    points = face * (1, -1, 1)
    width = float(np.linalg.norm(points[LEFT_RIM] - points[RIGHT_RIM]))
    towards = (part_at == PARTS.index("head")) * smooth_step((normals[:, 2] - 0.1) / 0.5)
    front = np.flatnonzero(towards > 0)
    if width < MIN_WIDTH_CELLS or len(front) < 4:
        return vertices
    head = LinearNDInterpolator(vertices[front, :2], vertices[front, 2])(points[:, :2])
    seen = np.isfinite(head)
    if seen.mean() < MIN_SEEN:
        return vertices
    points = points[seen]
    x, y = ((points[:, :2] - points[:, :2].mean(0)) / width).T
    # Across the face only bumps count; up and down its profile does: forehead and chin lie behind the lips.
    round_head = np.stack([np.ones_like(x), x, y, x * x, x * y], -1)
    added = points[:, 2] - head[seen]
    added = added - round_head @ np.linalg.lstsq(round_head, added, rcond=None)[0]
    limit = MAX_RELIEF * width
    added = limit * np.tanh(added / limit) * smooth_step(_inside(points[:, :2], face * (1, -1, 1)) / (FADE * width))
    relief = LinearNDInterpolator(points[:, :2], added, fill_value=0.0)(vertices[front, :2])
    moved = vertices.copy()
    moved[front, 2] += relief * towards[front] * (1 - 0.7 * stylisation(grid))
    return moved


def _inside(places: Float[np.ndarray, "place 2"], face: Float[np.ndarray, "468 3"]) -> Float[np.ndarray, " place"]:
    """About how far places lie within the face's rim, an ellipse; negative outside."""
    middle = 0.5 * (face[TOP, :2] + face[CHIN, :2])
    up = 0.5 * (face[TOP, :2] - face[CHIN, :2])
    across = 0.5 * (face[LEFT_RIM, :2] - face[RIGHT_RIM, :2])
    share = (places - middle) @ np.linalg.pinv(np.stack([across, up]))
    return (1 - np.linalg.norm(share, axis=-1)) * float(np.linalg.norm(across))
