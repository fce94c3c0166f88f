"""Relief of a face on an inflated head."""

import numpy as np
from jaxtyping import Float, Int

from understudy.characters.picture.inflate import stylisation
from understudy.characters.picture.parts import PARTS, FigureGrid
from understudy.geometry.vectors import smooth_step

__all__ = ["carve_face"]

NOSE, LEFT_EYE, RIGHT_EYE, MOUTH_LEFT, MOUTH_RIGHT = 0, 2, 5, 9, 10


def carve_face(
    grid: FigureGrid,
    vertices: Float[np.ndarray, "vertex 3"],
    normals: Float[np.ndarray, "vertex 3"],
    part_at: Int[np.ndarray, " vertex"],
) -> Float[np.ndarray, "vertex 3"]:
    """Raise nose, brow, lips and chin and sink the eyes around the face's landmarks, in grid cells.

    Inflation knows silhouettes only and leaves a face as smooth as an egg. Heights are those of an average head in
    units of the distance between the pupils (Farkas 1994, Anthropometry of the Head and Face), less for stylised
    figures. Without face landmarks nothing changes.
    """
    if grid.face is None:
        return vertices
    face = grid.face * (1, -1)
    nose, left, right = face[NOSE], face[LEFT_EYE], face[RIGHT_EYE]
    mouth, eyes = 0.5 * (face[MOUTH_LEFT] + face[MOUTH_RIGHT]), 0.5 * (left + right)
    down = mouth - eyes
    # The eyes of a turned face come together; its length does not change.
    unit = max(float(np.linalg.norm(left - right)), 0.85 * float(np.linalg.norm(down)))
    if unit < 1.5:
        return vertices
    across = np.array([-down[1], down[0]]) / max(float(np.linalg.norm(down)), 1e-9)
    places = vertices[:, :2]

    def bump(at: Float[np.ndarray, "2"], wide: float, tall: float) -> Float[np.ndarray, " vertex"]:
        sideways = (places - at) @ across / (wide * unit)
        lengthways = (places - at) @ np.array([across[1], -across[0]]) / (tall * unit)
        return np.exp(-(sideways**2) - lengthways**2)

    relief = 0.16 * bump(nose - 0.05 * down, 0.24, 0.22)
    relief += 0.11 * bump(0.5 * nose + 0.5 * eyes, 0.20, 0.34)
    relief -= 0.07 * (bump(left, 0.30, 0.22) + bump(right, 0.30, 0.22))
    relief += 0.05 * bump(eyes - 0.38 * down, 0.75, 0.20)
    relief += 0.06 * bump(mouth, 0.45, 0.16)
    relief += 0.10 * bump(mouth + 0.62 * down, 0.34, 0.24)
    faces_us = smooth_step((normals[:, 2] - 0.1) / 0.5) * (part_at == PARTS.index("head"))
    moved = vertices.copy()
    moved[:, 2] += unit * relief * faces_us * (1 - 0.7 * stylisation(grid))
    return moved
