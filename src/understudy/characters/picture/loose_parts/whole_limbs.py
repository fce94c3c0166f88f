"""Limbs kept whole beside what hangs loose."""

import itertools

import numpy as np
from jaxtyping import Bool, Int
from scipy import ndimage

from understudy.characters.picture.loose_parts.cells import centres
from understudy.characters.picture.parts import PARTS, FigureGrid, bone_line, limb_radius, segment_distance

__all__ = ["without_parting"]

TORSO = PARTS.index("torso")
LIMBS = tuple(PARTS.index(part) for part in ("left_arm", "right_arm", "left_leg", "right_leg"))
ROOT_REACH = 1.5
"""In radii of a limb, around its first joint: the trunk there carries it."""
HOLDING_CELLS = 1.5
"""Half the width of the thinnest neck that holds a limb together: the walls between parts take about so much of it."""
RIM_CELLS = (1.5, 2.5, 3.5)
"""How wide a rim of what would part a limb is kept for it, the first that will do."""
LIMB_REACH = 1.3
"""In radii of a limb, from its bones: of what would part it, so much is its own at least."""
MIN_PARTED_SHARE = 0.03
"""Of a limb's cells: when fewer are cut off these are crumbs at its outline, not a hand or a foot."""


def without_parting(
    grid: FigureGrid,
    labels: Int[np.ndarray, "row column"],
    loose: Bool[np.ndarray, "row column"],
    goes_on_below: bool,
) -> Bool[np.ndarray, "row column"]:
    """Loose cells without those that hold a limb together: a cuff between forearm and hand is of the arm.

    `goes_on_below`: upper arms and thighs go on below what is loose, as below hair over a shoulder.
    """
    loose, cells = loose.copy(), centres(labels.shape)
    for index in LIMBS:
        own, line = labels == index, bone_line(grid, PARTS[index])
        if not (own & loose).any():
            continue
        radius = limb_radius(grid, labels, PARTS[index])
        away = np.min([segment_distance(cells, a, b) for a, b in itertools.pairwise(line)], axis=0)
        root = (labels == TORSO) & (np.linalg.norm(cells - line[0], axis=-1) < ROOT_REACH * radius)
        never_lost = (segment_distance(cells, *line[:2]) < radius) if goes_on_below else np.zeros_like(own)
        clearance = min(HOLDING_CELLS, 0.5 * radius)
        whole = _held(own | root, root, clearance)
        pieces, count = ndimage.label(own & loose, np.ones((3, 3)))
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)
        gone = np.zeros_like(own)
        # The largest is the likeliest to hang loose: smaller ones must leave the limb whole beside it.
        for piece in np.argsort(-sizes[1:], kind="stable") + 1:
            here = pieces == piece
            beside = ndimage.distance_transform_edt(here | ~own)
            rims = [here & (beside > width) for width in RIM_CELLS]
            for lost in (here, *rims, here & (away > LIMB_REACH * radius), np.zeros_like(own)):
                kept = (own & ~(gone | lost)) | root | never_lost
                if (whole & own & kept & ~_held(kept, root, clearance)).sum() < MIN_PARTED_SHARE * own.sum():
                    break
            loose &= ~here | lost
            gone |= lost
    return loose


def _held(
    cells: Bool[np.ndarray, "row column"], root: Bool[np.ndarray, "row column"], clearance: float
) -> Bool[np.ndarray, "row column"]:
    """What hangs together with the root without a neck thinner than twice the clearance, in cells."""
    inner, _ = ndimage.label(ndimage.distance_transform_edt(cells) > clearance, np.ones((3, 3)))
    joined = (inner > 0) & np.isin(inner, np.unique(inner[root & (inner > 0)]))
    return cells & (ndimage.distance_transform_edt(~joined) < clearance + 1.5) if joined.any() else joined
