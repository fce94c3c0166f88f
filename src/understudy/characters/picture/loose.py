"""Hair, skirts and capes told from the limbs that they cover or hang beside: they follow head, hips and chest."""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from understudy.characters.picture.parts import PARTS, FigureGrid, bone_line, limb_radius, segment_distance
from understudy.characters.spring_joints import LOOSE

__all__ = ["LooseParts", "loose_at", "loose_parts"]

HEAD, TORSO, CAPE = PARTS.index("head"), PARTS.index("torso"), PARTS.index("cape")
LIMBS = tuple(PARTS.index(part) for part in ("left_arm", "right_arm", "left_leg", "right_leg"))
LEGS = LIMBS[2:]
SAME_COLOUR = 14.0
"""Distance in CIE Lab, lightness counted by LIGHTNESS_SHARE, below which two places may be of one thing."""
OTHER_COLOUR = 22.0
"""Distance from which they are of two."""
LIGHTNESS_SHARE = 0.5
"""Shade changes the lightness of one cloth more than its hue."""
MIN_SHARE = 0.006
"""Of the figure's area: smaller pieces are belts, buttons and straps."""
MAX_HAIR_SHARE = 0.6
"""Of trunk or limb cells: when hair's colour covers more of them, they are clothes of that colour."""
MAX_HAIR_OF_HEAD = 2.0
"""Cells of hair below the head for one of the head: more is a gown of that colour."""
MIN_CLOTH_SHARE = 0.65
"""Of a skirt's cells, those that have its colour: legs, boots and a cape between them have several."""
MIN_CAPE_SHARE = 0.012
"""Of the figure's area, what of a cape shows on each side at least."""
MIN_SKIRT_SHARE = 0.3
"""Of the way from hip to knee that a skirt covers at least."""

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

ROOT_REACH = 1.5
"""In radii of a limb, around its first joint: the trunk there carries it."""
HOLDING_CELLS = 1.5
"""Half the width of the thinnest neck that holds a limb together: the walls between parts take about so much of it."""
LIMB_REACH = 1.3
"""In radii of a limb, from its bones: of what would part it, so much is its own at least."""
MIN_PARTED_SHARE = 0.03
"""Of a limb's cells: when fewer are cut off these are crumbs at its outline, not a hand or a foot."""
MIN_TOUCHING_CELLS = 3
"""Of a piece beside head or trunk: what touches them in fewer cells does not hang on them."""

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
MIN_FALL = 0.1
"""Of the width: a hem above the gap between the legs is one that narrows by so much more than the gap's row does."""

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
    hair = _without_parting(grid, labels, _hair(grid, labels, colours), goes_on_below=True)
    labels = np.where(hair, HEAD, labels)
    for arm in LIMBS[:2]:
        labels = np.where(_rest_of_hand(grid, labels, colours, arm), arm, labels)
    skirt = _skirt(grid, labels, colours)
    labels = np.where(skirt, TORSO, labels)
    beside = _beside_limbs(grid, labels, colours)
    beside |= _joined(beside, (labels == TORSO) & ~_trunk(grid), colours)
    beside = _without_parting(grid, labels, beside, goes_on_below=False)
    sheet = _sheet(grid, beside)
    beside = _large((beside & sheet) | _hanging(labels, beside & ~sheet), grid)
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


def _without_parting(
    grid: FigureGrid,
    labels: Int[np.ndarray, "row column"],
    loose: Bool[np.ndarray, "row column"],
    goes_on_below: bool,
) -> Bool[np.ndarray, "row column"]:
    """Loose cells without those that hold a limb together: a cuff between forearm and hand is of the arm.

    `goes_on_below`: upper arms and thighs go on below what is loose, as below hair over a shoulder.
    """
    loose, cells = loose.copy(), _cells(labels.shape)
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
            for lost in (here, here & (away > LIMB_REACH * radius), np.zeros_like(own)):
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


def _hanging(labels: Int[np.ndarray, "row column"], loose: Bool[np.ndarray, "row column"]) -> np.ndarray:
    """The loose pieces that touch head or trunk: with the others nothing would carry them once the limb moves."""
    pieces, count = ndimage.label(loose, np.ones((3, 3)))
    carries = ndimage.binary_dilation(np.isin(labels, (HEAD, TORSO)) & ~loose, np.ones((3, 3)))
    touching = np.bincount(pieces[carries], minlength=count + 1) >= MIN_TOUCHING_CELLS
    # What was of the trunk all along is carried by it.
    touching |= np.bincount(pieces[labels == TORSO], minlength=count + 1) >= MIN_TOUCHING_CELLS
    touching[0] = False
    return touching[pieces]


def _of_the_head(labels: Int[np.ndarray, "row column"], loose: Bool[np.ndarray, "row column"]) -> np.ndarray:
    """The loose pieces that touch the head, and hair on it, in more cells than the trunk: tips of locks, ribbons."""
    pieces, count = ndimage.label(loose, np.ones((3, 3)))
    head, trunk = (
        np.bincount(pieces[ndimage.binary_dilation((labels == part) & ~loose, np.ones((3, 3)))], minlength=count + 1)
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
    alike = seeds | (among & (_apart(colours, np.median(colours[seeds], axis=0)[None]) < SAME_COLOUR))
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


def _apart(
    colours: Float[np.ndarray, "*cells 3"], palette: Float[np.ndarray, "colour 3"]
) -> Float[np.ndarray, "*cells"]:
    """Distance of each colour from the nearest of a palette."""
    return np.asarray(np.min([np.linalg.norm(colours - colour, axis=-1) for colour in palette], axis=0))


def _large(mask: Bool[np.ndarray, "row column"], grid: FigureGrid) -> Bool[np.ndarray, "row column"]:
    """Without pieces too small to be a garment or a lock."""
    pieces, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    keep = sizes >= MIN_SHARE * grid.mask.sum()
    keep[0] = False
    return keep[pieces]


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
    crown = (labels == HEAD) & (rows < eyes[:, 1].mean() - reach) & (_apart(colours, skin[None]) > SAME_COLOUR)
    if crown.sum() < MIN_CROWN_SHARE * (labels == HEAD).sum():
        return none
    middle = np.median(colours[crown], axis=0)
    # Locks have a lit side and a shaded one.
    light = colours[crown][:, 0]
    palette = np.array([middle, *([np.quantile(light, q), *middle[1:]] for q in LOCK_QUANTILES)])
    alike = grid.mask & (_apart(colours, palette) < SAME_COLOUR) & (_apart(colours, skin[None]) > FROM_SKIN)
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
    return _large(hair | (joined & (labels == HEAD)), grid) & hair


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
    cells = _cells(labels.shape)
    away = segment_distance(cells, wrist, hand)
    reach = max(float(np.linalg.norm(hand - wrist)), MIN_REACH_CELLS)
    core = (labels == arm) & (away < HAND_CORE * reach)
    if core.sum() < MIN_HAND_CELLS:
        return np.zeros(labels.shape, bool)
    skin = np.median(colours[core], axis=0)
    others = np.isin(labels, (TORSO, *LEGS)) & (away < FINGER_REACH * reach)
    near, far = (share * reach for share in AROUND_HAND)
    beside = np.isin(labels, (TORSO, *LEGS)) & (away > near) & (away < far)
    if beside.any() and float(_apart(np.median(colours[beside], axis=0), skin[None])) < OTHER_COLOUR:
        return np.zeros(labels.shape, bool)  # bare legs, or gloves like the trousers
    alike = (_apart(colours, skin[None]) < SAME_COLOUR) & (others | (labels == arm))
    pieces, _ = ndimage.label(alike, np.ones((3, 3)))
    return others & (pieces > 0) & np.isin(pieces, np.unique(pieces[core & alike]))


def _cells(shape: tuple[int, ...]) -> Float[np.ndarray, "row column 2"]:
    """The centre (x, y) of each cell in grid coordinates."""
    return np.stack(np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5), -1)


def _skirt(
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
    plain = (_apart(colours[skirt], cloth[None]) < OTHER_COLOUR).mean() >= MIN_CLOTH_SHARE
    if not plain and share > MAX_PRINTED_SHARE:
        return none
    return _large(skirt | _waistband(grid, labels, colours, cloth, top), grid)


def _waistband(
    grid: FigureGrid,
    labels: Int[np.ndarray, "row column"],
    colours: Float[np.ndarray, "row column 3"],
    cloth: Float[np.ndarray, "3"],
    top: int,
) -> Bool[np.ndarray, "row column"]:
    """Cells of the trunk that are of a skirt: from the thighs up to where its cloth ends, of a dress to its waist."""
    trunk = labels == TORSO
    alike = _apart(colours, cloth[None]) < OTHER_COLOUR
    waist = int(grid["hips"][1] + WAIST_SHARE * (grid["neck"][1] - grid["hips"][1]))
    for row in range(top, max(waist, 0), -1):
        if trunk[row].any() and alike[row][trunk[row]].mean() < MIN_CLOTH_SHARE:
            waist = row
            break
    return trunk & (np.arange(len(trunk)) > waist)[:, None]


def _leg_cores(grid: FigureGrid, labels: Int[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    """Cells at the legs' bones: what has one colour there above and below a hem is a leg before a cape."""
    cells, cores = _cells(labels.shape), np.zeros(labels.shape, bool)
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
        if float(_apart(other, colour[None])) > SAME_COLOUR:
            narrowest, found = share, (hem, share)
    return found


def _beside_limbs(
    grid: FigureGrid, labels: Int[np.ndarray, "row column"], colours: Float[np.ndarray, "row column 3"]
) -> Bool[np.ndarray, "row column"]:
    """Cells beside and between the limbs, of another colour than these have at their bones: a cape, wings, a tail; not
    what a hand holds, nor shoes."""
    cells = _cells(labels.shape)
    outside = ndimage.distance_transform_edt(grid.mask)
    cape = np.zeros(labels.shape, bool)
    for index in LIMBS:
        part = PARTS[index]
        line, own = bone_line(grid, part), labels == index
        bones = np.array([segment_distance(cells, a, b) for a, b in itertools.pairwise(line)])
        away, at_end = bones.min(0), bones.argmin(0) == len(bones) - 1
        core = own & (away < BONE_CORE * limb_radius(grid, labels, part))
        if core.sum() < MIN_CORE_CELLS:
            continue
        palette = _palette(colours[core])
        other = own & (_apart(colours, palette) > OTHER_COLOUR)
        pieces, count = ndimage.label(other, np.ones((3, 3)))
        for piece in range(1, count + 1):
            here = pieces == piece
            # What lies on a limb is a pattern or a glove; what reaches the outline and lies beside it is loose.
            if (
                outside[here].min() < OUTLINE_CELLS
                and at_end[here].mean() < MAX_END_SHARE
                and np.median(away[here]) > np.median(away[core]) * MIN_TIMES_AWAY
            ):
                cape |= here
    return _large(cape, grid)


def _palette(colours: Float[np.ndarray, "cell 3"]) -> Float[np.ndarray, "colour 3"]:
    """Colours along a limb: the farthest from those that are there already, one after the other."""
    chosen = [np.median(colours, axis=0)]
    for _ in range(PALETTE_COLOURS - 1):
        apart = _apart(colours, np.array(chosen))
        far = apart > OTHER_COLOUR
        if far.sum() < MIN_COLOUR_SHARE * len(colours):
            break
        chosen.append(np.median(colours[far], axis=0))
    return np.array(chosen)
