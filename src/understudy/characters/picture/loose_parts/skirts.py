"""Skirts, dresses, coats and robes: from waist to hem."""

import itertools

import numpy as np
from jaxtyping import Bool, Float, Int

from understudy.characters.picture.loose_parts.cells import OTHER_COLOUR, SAME_COLOUR, apart, centres, large
from understudy.characters.picture.parts import PARTS, FigureGrid, bone_line, limb_radius, segment_distance

__all__ = ["skirt_cells"]

TORSO = PARTS.index("torso")
LEGS = (PARTS.index("left_leg"), PARTS.index("right_leg"))
MIN_CLOTH_SHARE = 0.65
"""Of a skirt's cells, those that have its colour: legs, boots and a cape between them have several."""
MIN_SKIRT_SHARE = 0.3
"""Of the way from hip to knee that a skirt covers at least."""
MIN_THIGH_CELLS = 4
"""Down from hip to knee: on fewer rows no hem can be told."""
MAX_LEGS_SHARE = 0.9
"""Of a skirt's width, that of the legs that come out below its hem; trousers are as wide below the crotch as above."""
WAIST_SHARE = 0.35
"""Of the way from hips to neck: a dress below is a skirt."""
MAX_PRINTED_SHARE = 0.7
"""Of a skirt's width: legs that are so much narrower come out of a skirt even when its print has many colours."""
BELOW_HEM = 0.5
"""In lengths of a thigh, and BELOW_HEM_CELLS at least: so far down the legs are looked at for another colour."""
BELOW_HEM_CELLS = 3
BONE_CORE = 0.5
"""In radii of a leg, from its bone: the colour of the leg itself, or of what covers it, is taken here."""
MIN_FALL = 0.1
"""Of the width: a hem above the gap between the legs is one that narrows by so much more than the gap's row does."""


def skirt_cells(
    grid: FigureGrid, labels: Int[np.ndarray, "row column"], colours: Float[np.ndarray, "row column 3"]
) -> Bool[np.ndarray, "row column"]:
    """Cells of a skirt, coat or robe: cloth without a gap between the legs, down to a hem where both legs come out."""
    none = np.zeros(labels.shape, bool)
    hip, knee, ankle = (
        np.mean([grid[f"{side}_{joint}"] for side in ("left", "right")], axis=0) for joint in ("hip", "knee", "ankle")
    )
    thigh = float(knee[1] - hip[1])
    if thigh < MIN_THIGH_CELLS:
        return none
    top, bottom = int(hip[1]), int(min(ankle[1], labels.shape[0] - 1))
    legs = np.isin(labels, LEGS)
    middle = np.clip(
        np.interp(np.arange(labels.shape[0]), [hip[1], ankle[1]], [hip[0], ankle[0]]), 0, labels.shape[1] - 1
    )
    closed = grid.mask[np.arange(labels.shape[0]), middle.astype(int)]
    open_rows = np.flatnonzero(~closed[top:bottom])
    gap = top + int(open_rows[0]) if len(open_rows) else bottom
    if gap - top < MIN_SKIRT_SHARE * thigh:
        return none
    hem = _hem(legs, _leg_cores(grid, labels), colours, top, gap, thigh)
    if hem is None:
        return none
    hem, share = hem
    skirt = legs & (np.arange(len(legs)) < hem + 1)[:, None]
    cloth = np.median(colours[top:hem][legs[top:hem]], axis=0)
    plain = (apart(colours[skirt], cloth[None]) < OTHER_COLOUR).mean() >= MIN_CLOTH_SHARE
    if not plain and share > MAX_PRINTED_SHARE:
        return none
    return large(skirt | _waistband(grid, labels, colours, cloth, top), grid)


def _waistband(
    grid: FigureGrid,
    labels: Int[np.ndarray, "row column"],
    colours: Float[np.ndarray, "row column 3"],
    cloth: Float[np.ndarray, "3"],
    top: int,
) -> Bool[np.ndarray, "row column"]:
    """Cells of the trunk that are of a skirt: from the thighs up to where its cloth ends, of a dress to its waist."""
    trunk = labels == TORSO
    alike = apart(colours, cloth[None]) < OTHER_COLOUR
    waist = int(grid["hips"][1] + WAIST_SHARE * (grid["neck"][1] - grid["hips"][1]))
    for row in range(top, max(waist, 0), -1):
        if trunk[row].any() and alike[row][trunk[row]].mean() < MIN_CLOTH_SHARE:
            waist = row
            break
    return trunk & (np.arange(len(trunk)) > waist)[:, None]


def _leg_cores(grid: FigureGrid, labels: Int[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    """Cells at the legs' bones: what has one colour there above and below a hem is a leg before a cape."""
    cells, cores = centres(labels.shape), np.zeros(labels.shape, bool)
    for index in LEGS:
        line = bone_line(grid, PARTS[index])
        away = np.min([segment_distance(cells, a, b) for a, b in itertools.pairwise(line)], axis=0)
        cores |= (labels == index) & (away < max(BONE_CORE * limb_radius(grid, labels, PARTS[index]), 1.0))
    return cores


def _hem(
    legs: Bool[np.ndarray, "row column"],
    cores: Bool[np.ndarray, "row column"],
    colours: Float[np.ndarray, "row column 3"],
    top: int,
    gap: int,
    thigh: float,
) -> tuple[int, float] | None:
    """The row where a skirt ends between the hips' row and that where a gap parts the legs, and the width below of that
    above it; None: there is no skirt.

    Below a hem the legs have another colour and are narrower together. Trousers part at the crotch in one colour, and
    the two legs are as wide together as what is above. Legs that touch below the hem have no gap there: the hem is
    where the width falls most.
    """
    width = np.array([np.ptp(np.flatnonzero(row)) + 1 if row.any() else 0 for row in legs], float)
    first, below_rows = top + int(np.ceil(MIN_SKIRT_SHARE * thigh)), max(int(BELOW_HEM * thigh), BELOW_HEM_CELLS)
    narrowest, found = MAX_LEGS_SHARE, None
    for hem in range(gap, first - 1, -1):
        above, below = width[max(hem - 4, 0) : max(hem - 1, 1)], width[hem + 1 : hem + 4]
        cloth, under = cores[top:hem], cores[hem + 1 : hem + 1 + below_rows]
        if not (cloth.any() and under.any() and above.any()):
            continue
        share = float(below.mean() / above.mean())
        if share >= narrowest - (MIN_FALL if hem < gap else 0.0):
            continue
        colour, other = (np.median(colours[a:b][part], axis=0) for a, b, part in (
            (top, hem, cloth), (hem + 1, hem + 1 + below_rows, under)))  # fmt: skip
        if float(apart(other, colour[None])) > SAME_COLOUR:
            narrowest, found = share, (hem, share)
    return found
