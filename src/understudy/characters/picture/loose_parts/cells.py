"""Cells of a figure by colour, size and place."""

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from understudy.characters.picture.parts import FigureGrid

__all__ = ["LIGHTNESS_SHARE", "OTHER_COLOUR", "SAME_COLOUR", "apart", "centres", "large"]

SAME_COLOUR = 14.0
"""Distance in CIE Lab, lightness counted by LIGHTNESS_SHARE, below which two places may be of one thing."""
OTHER_COLOUR = 22.0
"""Distance from which they are of two."""
LIGHTNESS_SHARE = 0.5
"""Shade changes the lightness of one cloth more than its hue."""
MIN_SHARE = 0.006
"""Of the figure's area: smaller pieces are belts, buttons and straps."""


def apart(
    colours: Float[np.ndarray, "*cells 3"], palette: Float[np.ndarray, "colour 3"]
) -> Float[np.ndarray, "*cells"]:
    """Distance of each colour from the nearest of a palette."""
    return np.asarray(np.min([np.linalg.norm(colours - colour, axis=-1) for colour in palette], axis=0))


def large(mask: Bool[np.ndarray, "row column"], grid: FigureGrid) -> Bool[np.ndarray, "row column"]:
    """Without pieces too small to be a garment or a lock."""
    pieces, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    keep = sizes >= MIN_SHARE * grid.mask.sum()
    keep[0] = False
    return keep[pieces]


def centres(shape: tuple[int, ...]) -> Float[np.ndarray, "row column 2"]:
    """The centre (x, y) of each cell in grid coordinates."""
    return np.stack(np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5), -1)
