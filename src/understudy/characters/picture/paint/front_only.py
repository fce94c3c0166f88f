"""What only the front of a figure has: prints, buckles, zips, what an open jacket shows. Its back goes without."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from understudy.characters.picture.paint.seen import LAB_WEIGHTS, Seen

__all__ = ["front_only"]

INSET = 2.5
"""Cells from the outline to where colours are taken as those of the sides."""
ALIKE = 11.0
"""Distance in Lab, lightness halved, up to which a place may be the cloth of a side at its level."""
MOTTLED = 8.0
"""Standard deviation in Lab from which cloth is so busy that its colours may differ by more."""
SPOT = 12.0
"""A pixel so much farther, in Lab, from what is around it than any at the sides is a zip, a buckle or a small print."""
MARGIN = 0.14
"""Around what the front alone shows, in half widths of its part, that goes with it: its edges are a mixture."""
MIN_CELLS = 5
"""Of a piece; smaller ones are the cloth's own grain."""
GAP = 0.4
"""In half widths of a part, by which pieces of what the front alone shows are joined."""
MAX_SHARE = 0.7
"""Of a part that may be the front's alone: of more, the sides say too little."""


def front_only(
    seen: Seen, part: Int[np.ndarray, "row column"], parts: tuple[int, ...], along: Float[np.ndarray, "part 2"]
) -> Bool[np.ndarray, "row column"]:
    """Cells of some parts that neither side has at the same level of the part's bone.

    Args:
        part: of each cell; −1 where the picture does not show one of this group.
        along: for each part a unit vector along its bone, in grid coordinates.
    """
    lab = cv2.GaussianBlur(seen.cloth[..., :3] * LAB_WEIGHTS, (0, 0), 1.0)
    depth, mottled, spots = seen.cloth[..., 3], seen.mottled(), seen.spots()
    alone = np.zeros(depth.shape, bool)
    for index in parts:
        own = (part == index) & (depth > 0)
        if not own.any():
            continue
        differs = own.copy()
        for side in _sides(depth, own, along[index]):
            reference = lab.reshape(-1, 3)[side]
            busy = np.maximum(mottled.ravel()[side] - MOTTLED, 0)
            away = np.linalg.norm(lab - reference, axis=-1)
            odd = spots > ndimage.maximum_filter(spots, 3).ravel()[side] + SPOT
            differs &= (away > ALIKE + 2 * busy) | odd
        pieces, _ = ndimage.label(differs, np.ones((3, 3)))
        differs &= np.bincount(pieces.ravel())[pieces] >= MIN_CELLS
        wide = depth[own].max()
        margin, gap = (max(round(share * wide), 1) for share in (MARGIN, GAP))
        apart = ndimage.binary_dilation(differs, iterations=margin) & own
        whole = (
            _hulls(ndimage.binary_dilation(ndimage.binary_closing(differs, iterations=gap), iterations=margin)) & own
        )
        for found in (whole, apart):
            if found.sum() < MAX_SHARE * own.sum():
                alone |= found
                break
    return alone


def _hulls(cells: Bool[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    """Each piece with all that is between its parts: a print has its cloth's colours within it too."""
    contours, _ = cv2.findContours(cells.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cells.astype(np.uint8)
    for contour in contours:
        cv2.fillConvexPoly(filled, cv2.convexHull(contour), 1)
    return filled > 0


def _sides(
    depth: Float[np.ndarray, "row column"], own: Bool[np.ndarray, "row column"], along: Float[np.ndarray, "2"]
) -> list[Int[np.ndarray, "row column"]]:
    """For each cell of a part the cell at its left, and at its right, on the same level; flattened."""
    row, column = np.mgrid[: own.shape[0], : own.shape[1]]
    level = np.round(column * along[0] + row * along[1]).astype(int)
    level -= level[own].min()
    across = column * -along[1] + row * along[0]
    deepest = np.zeros(level[own].max() + 1)
    np.maximum.at(deepest, level[own], depth[own])
    level = np.clip(level, 0, len(deepest) - 1)
    y, x = np.nonzero(own & (depth >= np.minimum(INSET, 0.6 * deepest[level])))
    sides = []
    for sign in (1.0, -1.0):
        order = np.argsort(sign * across[y, x], kind="stable")
        outermost = np.full(len(deepest), -1)
        # The last one written is the outermost.
        outermost[level[y, x][order]] = (y * own.shape[1] + x)[order]
        known = np.flatnonzero(outermost >= 0)
        nearest = known[np.abs(known[:, None] - np.arange(len(deepest))).argmin(0)]
        sides.append(outermost[nearest][level])
    return sides
