"""The back of a head: hair, a hood or a helmet where the picture shows one around a face, never the face."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

from understudy.characters.picture.paint.seen import LAB_WEIGHTS, Seen
from understudy.characters.picture.parts import FigureGrid

__all__ = ["HeadBehind", "head_behind"]

LEFT_EYE, RIGHT_EYE, MOUTH_LEFT, MOUTH_RIGHT = 2, 5, 9, 10
SKIN = 12.0
"""Distance in Lab, lightness less, up to which a colour is the face's own."""
NEARER = 1.5
"""Mixtures of skin and hair count as skin."""
CROWN = 0.6
"""How deep below the top of a head, in distances of its eyes, its hair or hat is looked at."""
MIN_CONTRAST = 2.0
"""By how much, in Lab, a colour must be nearer to the crown's than to the face's."""
MIN_HAIR = 0.15
"""Of the head's rim that is not skin, before there is hair at all."""
FEATURES = 1.1
"""Radius of eyes, nose and mouth, in distances of the eyes."""
EAR = 0.42
"""Where ears end between the back of a head (0) and its face (1)."""
RARE = 0.15
"""Of a head's rim: a colour that less of it has is not carried around the head."""
MAX_RARE = 0.4
"""Of a head: where more of it is rare, it is of many colours."""
MIN_SKIN = 0.5
"""Of a head's rim: skin that less of it has is a face in the opening of a helmet or a hood."""
RIM = 3.0
"""Cells from the outline that are a head's rim."""
ODD = (8.0, 20.0)
"""Distances in Lab, lightness halved, from most of a row's colour; what is faint is told by the first, what touches
something faint by the second."""
GROWTH = 2
"""Cells around a face that are a mixture, or in the shadow of what is above."""
RING = 0.3
"""Of a head's half width, from its outline: what a head without a face that could be found has all around."""
OPENING, MIN_OPENING = 0.05, 3.0
"""Of a head in front and of its rim: with more skin inside than the first (so many cells from the outline), and less
at the rim, a face looks out of a helmet, hood or mask that goes all around."""


@dataclass(frozen=True)
class HeadBehind:
    """Which cells of a head its back does not have, and where its hair is."""

    features: Bool[np.ndarray, "row column"]
    """The face, or the middle of what may be one: the sides go without."""
    bare: Bool[np.ndarray, "row column"] | None
    """All that is not hair: where there is hair, the head goes without; None: no hair."""
    inside: Float[np.ndarray, " vertex"]
    """How far inside the hair each vertex is, in cells; negative outside; −100 off the head."""


def head_behind(
    grid: FigureGrid,
    vertices: Float[np.ndarray, "vertex 3"],
    seen: Seen,
    own: Bool[np.ndarray, "row column"],
    head: Bool[np.ndarray, " vertex"],
) -> HeadBehind:
    """Hair lies behind the ears, down to the nape, and reaches forward above the brow. It has none where no face was
    found, or all of the head has the face's colour (fur, a mask, a bald head).

    Args:
        vertices: in cells, x right, y up, z to the viewer.
        own: the cells that the picture shows of the head.
        head: which vertices are the head's.
    """
    lab, depth = seen.cloth[..., :3], seen.cloth[..., 3]
    rim = own & (depth < RIM)
    rare = _rare(lab, own, rim)
    middle = own & (depth > max(RIM, RING * depth[own].max(initial=0)))
    none = HeadBehind(middle | rare, None, np.full(len(vertices), -100.0))
    if not own.any() or not head.any():
        return none
    if grid.face is None:
        skin = _has_hue_of_skin(lab)
        opening = skin & own & (depth > MIN_OPENING)
        if opening.sum() < OPENING * own.sum() or skin[rim].mean() > OPENING:
            return none
        colour = np.median(lab[opening], 0)
        face = own & (_distance(lab, colour) < 2 * SKIN)
        bare = _grown(face, own) | rare
        bare |= _islands(lab, own & ~bare, rim)
        return HeadBehind(middle | rare, bare, np.where(head, 100.0, -100.0))
    eyes = 0.5 * (grid.face[LEFT_EYE] + grid.face[RIGHT_EYE])
    mouth = 0.5 * (grid.face[MOUTH_LEFT] + grid.face[MOUTH_RIGHT])
    unit = max(float(np.linalg.norm(grid.face[LEFT_EYE] - grid.face[RIGHT_EYE])), float(np.linalg.norm(mouth - eyes)))
    row, column = np.mgrid[: own.shape[0], : own.shape[1]] + 0.5
    to_face = np.hypot(column - 0.5 * (eyes + mouth)[0], row - 0.5 * (eyes + mouth)[1])
    features = own & (to_face < FEATURES * unit)
    if not (features & (to_face < 0.8 * unit)).any():
        return none
    none = HeadBehind(features, None, none.inside)
    skin = np.median(lab[features & (to_face < 0.8 * unit)], 0)
    crown = own & (row < row[own].min() + CROWN * unit)
    top = np.median(lab[crown], 0)
    to_skin, to_top = _distance(lab, skin), _distance(lab, top)
    upper = own & (row < mouth[1])
    other = (to_skin > SKIN) | (to_top < to_skin - MIN_CONTRAST)
    if (rim & upper & other).sum() < MIN_HAIR * max((rim & upper).sum(), 1):
        return none
    skin_like = own & (to_skin < SKIN) & (to_skin <= NEARER * to_top)
    pieces, _ = ndimage.label(skin_like | features)
    # A white hood around a white face is apart from it.
    face = np.isin(pieces, np.unique(pieces[features]))
    bare = _grown(face | own & (row > mouth[1] + 0.5 * unit), own)
    bare |= _islands(lab, own & ~bare, rim)
    return HeadBehind(features, bare, _inside(vertices, head, eyes, mouth, unit))


def _islands(
    lab: Float[np.ndarray, "row column 3"], own: Bool[np.ndarray, "row column"], rim: Bool[np.ndarray, "row column"]
) -> Bool[np.ndarray, "row column"]:
    """What is of another colour than most of its row and does not reach the outline: eyes drawn on a hood, a badge."""
    away = np.zeros(own.shape)
    for row in np.flatnonzero(own.any(1)):
        away[row] = np.where(own[row], _distance(lab[row], np.median(lab[row, own[row]], 0)), 0)
    within = np.zeros(own.shape, bool)
    for threshold in ODD:
        pieces, _ = ndimage.label(away > threshold)
        within |= (pieces > 0) & ~np.isin(pieces, np.unique(pieces[rim]))
    return ndimage.binary_dilation(within, iterations=2) & own


def _inside(
    vertices: Float[np.ndarray, "vertex 3"],
    head: Bool[np.ndarray, " vertex"],
    eyes: Float[np.ndarray, "2"],
    mouth: Float[np.ndarray, "2"],
    unit: float,
) -> Float[np.ndarray, " vertex"]:
    """How far inside the hair, in cells: behind the ears and above the nape."""
    rise, nape = vertices[:, 1] + eyes[1], -mouth[1] - 0.35 * unit
    level = head & (vertices[:, 1] > -mouth[1]) & (np.abs(rise) < unit)
    if not level.any():
        return np.full(len(vertices), -100.0)
    back, face = vertices[level, 2].min(), vertices[level, 2].max()
    ear = back + EAR * (face - back)
    behind = ear + 1.2 * np.maximum(rise - 0.4 * unit, 0) + 0.6 * np.minimum(rise + 0.2 * unit, 0) - vertices[:, 2]
    inside = np.minimum(behind, vertices[:, 1] - nape + 0.25 * np.maximum(behind, 0))
    return np.where(head, inside, -100.0)


def _grown(
    cells: Bool[np.ndarray, "row column"], own: Bool[np.ndarray, "row column"]
) -> Bool[np.ndarray, "row column"]:
    """With the cells beside, which are a mixture, and what they enclose: eyes in skin."""
    grown = ndimage.binary_closing(ndimage.binary_dilation(cells, iterations=GROWTH), iterations=2)
    return ndimage.binary_fill_holes(grown) & own


def _distance(lab: Float[np.ndarray, "*batch 3"], colour: Float[np.ndarray, "3"]) -> Float[np.ndarray, "*batch"]:
    return np.linalg.norm((lab - colour) * LAB_WEIGHTS, axis=-1)


def _rare(
    lab: Float[np.ndarray, "row column 3"], own: Bool[np.ndarray, "row column"], rim: Bool[np.ndarray, "row column"]
) -> Bool[np.ndarray, "row column"]:
    """Where a head has a colour that little of its rim has."""
    rare = np.zeros(rim.shape, bool)
    if not rim.any():
        return rare
    at_rim = lab[rim] * LAB_WEIGHTS
    alike = np.linalg.norm((lab[own] * LAB_WEIGHTS)[:, None] - at_rim[None], axis=-1) < SKIN
    few = (alike.mean(1) < RARE) | (_has_hue_of_skin(lab[own]) & (_has_hue_of_skin(lab[rim]).mean() < MIN_SKIN))
    if few.mean() < MAX_RARE:
        rare[own] = few
    return rare


def _has_hue_of_skin(lab: Float[np.ndarray, "*batch 3"]) -> Bool[np.ndarray, "*batch"]:
    return (lab[..., 1] > 6) & (lab[..., 2] > 8) & (lab[..., 0] > 40)
