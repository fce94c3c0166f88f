"""Hair, skirts and capes told from the limbs that they cover or hang beside: they follow head, hips and chest."""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from understudy.characters.picture.loose_parts.cells import (
    LIGHTNESS_SHARE,
    OTHER_COLOUR,
    SAME_COLOUR,
    apart,
    centres,
    large,
)
from understudy.characters.picture.loose_parts.skirts import skirt_cells
from understudy.characters.picture.loose_parts.whole_limbs import without_parting
from understudy.characters.picture.parts import PARTS, FigureGrid, bone_line, limb_radius, segment_distance
from understudy.characters.spring_joints import LOOSE

__all__ = ["LooseParts", "loose_at", "loose_parts"]

HEAD, TORSO, CAPE = PARTS.index("head"), PARTS.index("torso"), PARTS.index("cape")
LIMBS = tuple(PARTS.index(part) for part in ("left_arm", "right_arm", "left_leg", "right_leg"))
LEGS = LIMBS[2:]
MAX_HAIR_SHARE = 0.6
"""Of trunk or limb cells: when hair's colour covers more of them, they are clothes of that colour."""
MAX_HAIR_OF_HEAD = 2.0
"""Cells of hair below the head for one of the head: more is a gown of that colour."""
MIN_CAPE_SHARE = 0.012
"""Of the figure's area, what of a cape shows on each side at least."""

MAX_CRUMB_SHARE = 0.2
"""Of the largest piece of a limb or the trunk: smaller ones amid hair are tips of locks."""
FACE_REACH = 0.6
"""In distances between the eyes, around the nose: cheeks and mouth are within, hair and hood are not."""
MIN_REACH_CELLS = 2.0
"""Of a face or a hand on small figures: fewer cells have no median colour to trust."""
MIN_CROWN_SHARE = 0.15
"""Of the head's cells, those above the eyes that are not of the skin's colour: fewer are brows, or a bald head."""
LOCK_QUANTILES = (0.15, 0.85)
"""Of the crown's lightness: the shaded and the lit side of a lock."""
FROM_SKIN = 0.5 * SAME_COLOUR
"""Distance from the skin's colour from which a place may be hair: fair hair is near to it."""

HAND_CORE = 0.35
"""In lengths of a hand, from its bone: what is nearer is surely the hand."""
MIN_HAND_CELLS = 4
"""Of a hand's core: fewer have no median colour to trust."""
FINGER_REACH = 1.2
"""In lengths of a hand, from its bone: spread fingers reach no further."""
AROUND_HAND = (1.5, 3.0)
"""In lengths of a hand, from its bone: what lies behind a hand is looked at here, where no finger reaches."""

MIN_HANGING_SHARE = 0.7
"""Of a piece's cells, those lower than the middle between neck and hips, where it may be a cape: wings and tails are
elsewhere."""
MIN_OTHER_SIDE = 0.25
"""Of what a cape shows on its wider side, what it shows on the other at least."""
COLLAR = 0.6
"""Of the way from neck to shoulder, where a cape is fastened."""

NEIGHBOUR_CELLS = 7
"""Across the square around a piece in which parts beside it show their colour."""
MIN_TOUCHING_CELLS = 3
"""Of a piece beside head or trunk: what touches them in fewer cells does not hang on them."""


BONE_CORE = 0.5
"""In radii of a limb, from its bone: the colours of the limb itself are taken here."""
MIN_CORE_CELLS = 12
"""Of a limb: with fewer its colours are unknown."""
OUTLINE_CELLS = 1.5
"""From the outline: a piece with no nearer cell lies on the limb, as a pattern or a glove does."""
MAX_END_SHARE = 0.5
"""Of a piece's cells that are beside the limb's last bone: more is a shoe, or what a hand holds."""
MIN_TIMES_AWAY = 2
"""As far from the bone as the limb's core lies what hangs beside it, by the medians of both."""
FAR_RADII = 1.3
"""From the bone, in radii of the limb, from which a place is hardly of the limb."""
MIN_FAR_CELLS = 5
"""Across what is told from the limb by being far from its bone."""
MIN_RADII_AWAY = 0.9
"""In radii of the limb, by the median of a piece: what is nearer is the limb's lit side."""
PALETTE_COLOURS = 5
"""Along one limb at most: skin, sleeve, cuff, glove, and shade."""
MIN_COLOUR_SHARE = 0.08
"""Of a limb's core cells that a further colour has at least; fewer are its edges and seams."""


@dataclass(frozen=True)
class LooseParts:
    """The parts of a figure's cells once what hangs loose was given to what it hangs on."""

    labels: Int[np.ndarray, "row column"]
    """As `label_parts` gives them; hair is of the head, a skirt of the torso, a cape is a part of its own."""
    skirt: Bool[np.ndarray, "row column"]
    """Cells of cloth that goes round both legs."""
    flat: Bool[np.ndarray, "row column"]
    """Cells of the torso that are thin: what hangs beside the figure on one side of it."""
    sheet: Bool[np.ndarray, "row column"]
    """Cells that a cape covers when seen from behind; none without a cape."""
    hair: Bool[np.ndarray, "row column"]
    """Cells of trunk and limbs that hair hangs before or beside."""


def loose_parts(grid: FigureGrid, labels: Int[np.ndarray, "row column"]) -> LooseParts:
    """Give hair to the head, and skirts and capes to the torso, by colour and by where limbs can be."""
    colours = grid.lab * np.array([LIGHTNESS_SHARE, 1.0, 1.0])
    hair = without_parting(grid, labels, _hair(grid, labels, colours), goes_on_below=True)
    limbs_and_trunk = labels != HEAD
    labels = _without_crumbs(np.where(hair, HEAD, labels))
    hair = (labels == HEAD) & limbs_and_trunk
    for arm in LIMBS[:2]:
        labels = np.where(_rest_of_hand(grid, labels, colours, arm), arm, labels)
    skirt = skirt_cells(grid, labels, colours)
    labels = np.where(skirt, TORSO, labels)
    before = without_parting(grid, labels, _beside_limbs(grid, labels, colours, 0.0), goes_on_below=False)
    labels = _behind_arms(grid, labels, before, colours)
    beside = _beside_limbs(grid, labels, colours, MIN_RADII_AWAY)
    beside |= _joined(beside, (labels == TORSO) & ~_trunk(grid), colours)
    beside = without_parting(grid, labels, beside, goes_on_below=False)
    sheet = _sheet(grid, beside)
    beside = large((beside & sheet) | _hanging(labels, beside & ~sheet), grid)
    tips = _of_the_head(labels, beside & ~sheet)
    labels = np.where(beside, np.where(sheet, CAPE, np.where(tips, HEAD, TORSO)), labels)
    return LooseParts(labels, skirt, beside & ~sheet & ~tips, sheet, (hair | tips) & (labels == HEAD))


def loose_at(
    parts: LooseParts, vertices: Float[np.ndarray, "vertex 3"], part_at: Int[np.ndarray, " vertex"]
) -> Int[np.ndarray, " vertex"]:
    """What hangs loose of a surface in grid cells (as volume.surface_of_parts gives it): places in LOOSE."""
    rows, columns = parts.labels.shape
    row = np.clip(np.floor(-vertices[:, 1]).astype(int), 0, rows - 1)
    column = np.clip(np.floor(vertices[:, 0]).astype(int), 0, columns - 1)
    found = np.where(part_at == CAPE, LOOSE.index("cape"), 0)
    for name, cells, part in (("hair", parts.hair, HEAD), ("skirt", parts.skirt, TORSO), ("beside", parts.flat, TORSO)):
        # The surface reaches a little beyond the cells that it was made of.
        wider = ndimage.binary_dilation(cells, np.ones((3, 3), bool))
        found[(part_at == part) & wider[row, column]] = LOOSE.index(name)
    return found


def _hanging(labels: Int[np.ndarray, "row column"], loose: Bool[np.ndarray, "row column"]) -> np.ndarray:
    """The loose pieces that touch head or trunk: with the others nothing would carry them once the limb moves."""
    pieces, count = ndimage.label(loose, np.ones((3, 3)))
    carries = ndimage.binary_dilation(np.isin(labels, (HEAD, TORSO)) & ~loose, np.ones((3, 3), bool))
    touching = np.bincount(pieces[carries], minlength=count + 1) >= MIN_TOUCHING_CELLS
    # What was of the trunk all along is carried by it.
    touching |= np.bincount(pieces[labels == TORSO], minlength=count + 1) >= MIN_TOUCHING_CELLS
    touching[0] = False
    return touching[pieces]


def _behind_arms(
    grid: FigureGrid,
    labels: Int[np.ndarray, "row column"],
    beside: Bool[np.ndarray, "row column"],
    colours: Float[np.ndarray, "row column 3"],
) -> Int[np.ndarray, "row column"]:
    """Labels once pieces of forearms that have the colour of the trunk or leg beside them are of that: hips that an arm
    hangs before."""
    labels, cells = labels.copy(), centres(labels.shape)
    near = np.ones((NEIGHBOUR_CELLS, NEIGHBOUR_CELLS), bool)
    for arm in LIMBS[:2]:
        line = bone_line(grid, PARTS[arm])
        lower = np.argmin([segment_distance(cells, a, b) for a, b in itertools.pairwise(line)], axis=0) > 0
        pieces, count = ndimage.label(beside & (labels == arm), np.ones((3, 3)))
        for piece in range(1, count + 1):
            here = pieces == piece
            if lower[here].mean() < 0.5:
                continue
            colour = np.median(colours[here], axis=0)
            around = ndimage.binary_dilation(here, near) & ~beside
            for part in (TORSO, *LEGS):
                own = around & (labels == part)
                if own.sum() < MIN_TOUCHING_CELLS:
                    continue
                if float(apart(np.median(colours[own], axis=0), colour[None])) < SAME_COLOUR:
                    labels[here] = part
                    break
    return labels


def _of_the_head(labels: Int[np.ndarray, "row column"], loose: Bool[np.ndarray, "row column"]) -> np.ndarray:
    """The loose pieces that touch the head, and hair on it, in more cells than the trunk: tips of locks, ribbons."""
    pieces, count = ndimage.label(loose, np.ones((3, 3)))
    head, trunk = (
        np.bincount(
            pieces[ndimage.binary_dilation((labels == part) & ~loose, np.ones((3, 3), bool))], minlength=count + 1
        )
        for part in (HEAD, TORSO)
    )
    return loose & (head > trunk)[pieces]


def _trunk(grid: FigureGrid) -> Bool[np.ndarray, "row column"]:
    """The quadrilateral of shoulders and hips, carried on to the knees: in front of it hangs no cape."""
    corners = [grid[f"{side}_{joint}"] for side, joint in (("right", "shoulder"), ("left", "shoulder"),
                                                          ("left", "knee"), ("right", "knee"))]  # fmt: skip
    corners += [grid["left_hip"], grid["right_hip"]]
    canvas = np.zeros(grid.distance.shape, np.uint8)
    cv2.fillConvexPoly(canvas, cv2.convexHull(np.round(np.stack(corners)).astype(np.int32)), 1)
    return canvas > 0


def _joined(
    seeds: Bool[np.ndarray, "row column"], among: Bool[np.ndarray, "row column"], colours: np.ndarray
) -> Bool[np.ndarray, "row column"]:
    """Cells of another part that go on where the seeds end: of their colour and joined to them."""
    if not seeds.any():
        return seeds
    alike = seeds | (among & (apart(colours, np.median(colours[seeds], axis=0)[None]) < SAME_COLOUR))
    pieces, _ = ndimage.label(alike, np.ones((3, 3)))
    return among & np.isin(pieces, np.unique(pieces[seeds]))


def _sheet(grid: FigureGrid, beside: Bool[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    """All cells of a cape, from the shoulders down, if what hangs beside the limbs is one: it shows on both sides."""
    sheet = np.zeros(beside.shape, np.uint8)
    pieces, count = ndimage.label(beside, np.ones((3, 3)))
    hips, below = (
        grid["hips"],
        np.arange(len(beside))[:, None] > 0.5 * (grid["neck"][1] + grid["hips"][1]),
    )
    cells = [pieces == piece for piece in range(1, count + 1)]
    hanging = [piece for piece, own in enumerate(cells, 1) if (below & own).sum() > MIN_HANGING_SHARE * own.sum()]
    cape = np.isin(pieces, hanging)
    left, right = (int(cape[:, side].sum()) for side in (slice(None, int(hips[0])), slice(int(hips[0]), None)))
    if min(left, right) < max(MIN_OTHER_SIDE * max(left, right), MIN_CAPE_SHARE * grid.mask.sum()):
        return sheet > 0
    rows, columns = np.nonzero(cape)
    shoulders = [grid["neck"] + COLLAR * (grid[f"{side}_shoulder"] - grid["neck"]) for side in ("left", "right")]
    corners = np.concatenate([np.stack([columns, rows], -1) + 0.5, shoulders])
    cv2.fillConvexPoly(sheet, cv2.convexHull(np.round(corners).astype(np.int32)), 1)
    return sheet > 0


def _hair(
    grid: FigureGrid, labels: Int[np.ndarray, "row column"], colours: Float[np.ndarray, "row column 3"]
) -> Bool[np.ndarray, "row column"]:
    """Cells of limbs and trunk that hair from the head covers: of its colour, and joined to it."""
    none = np.zeros(labels.shape, bool)
    if grid.face is None:
        return none
    eyes, nose = grid.face[[2, 5]], grid.face[0]
    columns, rows = np.meshgrid(np.arange(labels.shape[1]) + 0.5, np.arange(labels.shape[0]) + 0.5)
    reach = max(FACE_REACH * float(np.linalg.norm(eyes[0] - eyes[1])), MIN_REACH_CELLS)
    face = (labels == HEAD) & (np.hypot(columns - nose[0], rows - nose[1]) < reach)
    if not face.any():
        return none
    skin = np.median(colours[face], axis=0)
    crown = (labels == HEAD) & (rows < eyes[:, 1].mean() - reach) & (apart(colours, skin[None]) > SAME_COLOUR)
    if crown.sum() < MIN_CROWN_SHARE * (labels == HEAD).sum():
        return none
    middle = np.median(colours[crown], axis=0)
    # Locks have a lit side and a shaded one.
    light = colours[crown][:, 0]
    palette = np.array([middle, *([np.quantile(light, q), *middle[1:]] for q in LOCK_QUANTILES)])
    alike = grid.mask & (apart(colours, palette) < SAME_COLOUR) & (apart(colours, skin[None]) > FROM_SKIN)
    alike = ndimage.binary_closing(alike, np.ones((3, 3), bool)) & grid.mask
    joined = _joined_locks(alike, crown)
    free = labels == HEAD
    for part in (TORSO, *LIMBS):
        own = labels == part
        if own.any() and (joined & own).sum() < MAX_HAIR_SHARE * own.sum():
            free |= own
    # What clothes of hair's colour alone join to the head is none.
    joined = _joined_locks(joined & free, crown)
    hair = joined & (labels != HEAD)
    if hair.sum() > MAX_HAIR_OF_HEAD * (labels == HEAD).sum():
        return none
    return large(hair | (joined & (labels == HEAD)), grid) & hair


def _without_crumbs(labels: Int[np.ndarray, "row column"]) -> Int[np.ndarray, "row column"]:
    """Labels once small pieces that hair has cut off a limb or the trunk, tips of locks, are of the hair."""
    labels = labels.copy()
    for part in (TORSO, *LIMBS):
        pieces, count = ndimage.label(labels == part, np.ones((3, 3)))
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
        for piece in np.flatnonzero(sizes < MAX_CRUMB_SHARE * sizes.max(initial=0)) + 1:
            here = pieces == piece
            around = labels[ndimage.binary_dilation(here, np.ones((3, 3), bool)) & ~here]
            if (around == HEAD).sum() > (np.isin(around, (TORSO, *LIMBS))).sum():
                labels[here] = HEAD
    return labels


def _joined_locks(
    alike: Bool[np.ndarray, "row column"], crown: Bool[np.ndarray, "row column"]
) -> Bool[np.ndarray, "row column"]:
    """The cells that are joined to the crown, not by a line alone: outlines of a drawing are no hair."""
    thick, _ = ndimage.label(ndimage.binary_opening(alike, np.ones((3, 3), bool)), np.ones((3, 3)))
    found = np.isin(thick, np.unique(thick[crown & (thick > 0)])) & (thick > 0)
    return alike & ndimage.binary_dilation(found, np.ones((3, 3), bool), iterations=2)


def _rest_of_hand(
    grid: FigureGrid, labels: Int[np.ndarray, "row column"], colours: Float[np.ndarray, "row column 3"], arm: int
) -> Bool[np.ndarray, "row column"]:
    """Cells of trunk and legs that show fingers: of the hand's colour, joined to it, within its reach."""
    side = PARTS[arm].removesuffix("_arm")
    wrist, hand = grid[f"{side}_wrist"], grid[f"{side}_hand"]
    cells = centres(labels.shape)
    away = segment_distance(cells, wrist, hand)
    reach = max(float(np.linalg.norm(hand - wrist)), MIN_REACH_CELLS)
    core = (labels == arm) & (away < HAND_CORE * reach)
    if core.sum() < MIN_HAND_CELLS:
        return np.zeros(labels.shape, bool)
    skin = np.median(colours[core], axis=0)
    others = np.isin(labels, (TORSO, *LEGS)) & (away < FINGER_REACH * reach)
    near, far = (share * reach for share in AROUND_HAND)
    beside = np.isin(labels, (TORSO, *LEGS)) & (away > near) & (away < far)
    if beside.any() and float(apart(np.median(colours[beside], axis=0), skin[None])) < OTHER_COLOUR:
        return np.zeros(labels.shape, bool)  # bare legs, or gloves like the trousers
    alike = (apart(colours, skin[None]) < SAME_COLOUR) & (others | (labels == arm))
    pieces, _ = ndimage.label(alike, np.ones((3, 3)))
    return others & (pieces > 0) & np.isin(pieces, np.unique(pieces[core & alike]))


def _beside_limbs(
    grid: FigureGrid,
    labels: Int[np.ndarray, "row column"],
    colours: Float[np.ndarray, "row column 3"],
    min_radii: float,
) -> Bool[np.ndarray, "row column"]:
    """Cells beside and between the limbs, of another colour than these have at their bones: a cape, wings, a tail; not
    what a hand holds, nor shoes.

    `min_radii`: how far from the bone, by the median of a piece, in radii of the limb.
    """
    cells = centres(labels.shape)
    outside = ndimage.distance_transform_edt(grid.mask)
    cape = np.zeros(labels.shape, bool)
    for index in LIMBS:
        part = PARTS[index]
        line, own = bone_line(grid, part), labels == index
        bones = np.array([segment_distance(cells, a, b) for a, b in itertools.pairwise(line)])
        away, at_end = bones.min(0), bones.argmin(0) == len(bones) - 1
        radius = limb_radius(grid, labels, part)
        core = own & (away < BONE_CORE * radius)
        if core.sum() < MIN_CORE_CELLS:
            continue
        palette = _palette(colours[core])
        difference = apart(colours, palette)
        # Where the limb itself hardly reaches less of a difference will do, but not at its rim, which mixes colours.
        far = own & (away > FAR_RADII * radius) & (difference > SAME_COLOUR)
        other = own & (difference > OTHER_COLOUR) | ndimage.binary_opening(far, np.ones((MIN_FAR_CELLS,) * 2, bool))
        pieces, count = ndimage.label(other, np.ones((3, 3)))
        for piece in range(1, count + 1):
            here = pieces == piece
            # What lies on a limb is a pattern or a glove; what reaches the outline and lies beside it is loose.
            if (
                outside[here].min() < OUTLINE_CELLS
                and at_end[here].mean() < MAX_END_SHARE
                and np.median(away[here]) > max(np.median(away[core]) * MIN_TIMES_AWAY, min_radii * radius)
            ):
                cape |= here
    return large(cape, grid)


def _palette(colours: Float[np.ndarray, "cell 3"]) -> Float[np.ndarray, "colour 3"]:
    """Colours along a limb: the farthest from those that are there already, one after the other."""
    chosen = [np.median(colours, axis=0)]
    for _ in range(PALETTE_COLOURS - 1):
        far = apart(colours, np.array(chosen)) > OTHER_COLOUR
        if far.sum() < MIN_COLOUR_SHARE * len(colours):
            break
        chosen.append(np.median(colours[far], axis=0))
    return np.array(chosen)
