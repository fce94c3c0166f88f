"""Hair that covers the back of a head, where the picture shows hair above the face."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from understudy.characters.picture.paint.seen import LAB_WEIGHTS, Seen
from understudy.characters.picture.parts import FigureGrid

__all__ = ["Hair", "hair_of_head"]

LEFT_EYE, RIGHT_EYE, MOUTH_LEFT, MOUTH_RIGHT = 2, 5, 9, 10
SKIN = 12.0
"""Distance in Lab, lightness less, up to which a colour is the face's own."""
CROWN = 0.6
"""How deep below the top of a head, in distances of its eyes, its hair or hat is looked at."""
MIN_CONTRAST = 2.0
"""By how much, in Lab, a colour must be nearer to the crown's than to the face's."""
MIN_HAIR = 0.15
"""Of the head's rim that is not skin, before there is hair at all."""
FEATURES = 1.1
"""Radius of eyes, nose and mouth, in distances of the eyes."""
EAR = 0.48
"""Where ears are between the back of a head (0) and its face (1)."""
RARE, RARE_SKIN = 0.15, 0.5
"""Of a head's rim: a colour that less of it has is not carried around the head; of a skin's hue, a face in the opening
of a helmet or a hood."""
OPENING, OPENING_DEPTH = 0.05, 3.0
"""Of a head in front and of its rim: with more skin inside than the first (so many cells from the outline), and less
at the rim, a face looks out of a helmet, hood or mask that goes all around."""


@dataclass(frozen=True)
class Hair:
    """Where a head has hair behind its face."""

    inside: Float[np.ndarray, " vertex"]
    """How far inside the hair each vertex is, in cells; negative outside; −100 off the head."""
    sources: Bool[np.ndarray, " vertex"]
    """Vertices of the seen rim where the picture shows hair."""
    skin_sources: Bool[np.ndarray, " vertex"]
    """Vertices of the seen rim from which no colour may be taken."""
    seen: Seen
    """Without the skin."""


def hair_of_head(
    grid: FigureGrid,
    vertices: Float[np.ndarray, "vertex 3"],
    lab_depth: Float[np.ndarray, "vertex 4"],
    seen: Seen,
    head: Bool[np.ndarray, " vertex"],
    rim: Bool[np.ndarray, " vertex"],
    front: Bool[np.ndarray, " vertex"],
) -> Hair:
    """Hair lies behind the ears, down to the nape, and reaches forward above the brow. It has none where no face was
    found, or all of the head has the face's colour (fur, a mask, a bald head)."""
    nowhere = np.zeros(len(vertices), bool)
    rare = _rare(lab_depth[:, :3], head & rim)
    none = Hair(np.full(len(vertices), -100.0), nowhere, rare, seen)
    if not (head & front).any():
        return none
    if grid.face is None:
        bare = _has_hue_of_skin(lab_depth[:, :3])
        opening = front & head & bare & (lab_depth[:, 3] > OPENING_DEPTH)
        if opening.sum() < OPENING * (front & head).sum() or bare[rim & head].mean() > OPENING:
            return none
        skin = np.median(lab_depth[opening, :3], 0)
        features = np.zeros(grid.distance.shape, bool)
        return Hair(
            np.where(head, 100.0, -100.0), rim & head & ~bare, rare, seen.without(skin, 2 * SKIN, skin, features)
        )
    face = grid.face * (1, -1)
    eyes, mouth = 0.5 * (face[LEFT_EYE] + face[RIGHT_EYE]), 0.5 * (face[MOUTH_LEFT] + face[MOUTH_RIGHT])
    unit = max(float(np.linalg.norm(face[LEFT_EYE] - face[RIGHT_EYE])), float(np.linalg.norm(mouth - eyes)))
    middle = 0.5 * eyes + 0.5 * mouth
    near = head & front & (np.linalg.norm(vertices[:, :2] - middle, axis=1) < 0.8 * unit)
    if near.sum() < 5:
        return none
    skin = np.median(lab_depth[near, :3], 0)
    crown = head & front & (vertices[:, 1] > vertices[head, 1].max() - CROWN * unit)
    top = np.median(lab_depth[crown, :3], 0) if crown.any() else skin
    to_skin, to_top = (np.linalg.norm((lab_depth[:, :3] - c) * LAB_WEIGHTS, axis=1) for c in (skin, top))
    other = (to_skin > SKIN) | (to_top < to_skin - MIN_CONTRAST)
    upper = head & (vertices[:, 1] > mouth[1])
    sources = rim & upper & other
    if sources.sum() < MIN_HAIR * (rim & upper).sum():
        return none
    level = upper & (np.abs(vertices[:, 1] - eyes[1]) < unit)
    back, face_z = vertices[level, 2].min(), vertices[level, 2].max()
    ear = back + EAR * (face_z - back)
    rise = vertices[:, 1] - eyes[1]
    behind = ear + 1.2 * np.maximum(rise - 0.4 * unit, 0) - vertices[:, 2]
    nape = mouth[1] - 0.15 * unit
    inside = np.minimum(behind, vertices[:, 1] - nape + 0.25 * np.maximum(behind, 0))
    row, column = np.mgrid[: grid.distance.shape[0], : grid.distance.shape[1]] + 0.5
    features = np.hypot(column - middle[0], row + middle[1]) < FEATURES * unit
    return Hair(np.where(head, inside, -100.0), sources & ~rare, rare, seen.without(skin, SKIN, top, features))


def _rare(lab: Float[np.ndarray, "vertex 3"], rim: Bool[np.ndarray, " vertex"]) -> Bool[np.ndarray, " vertex"]:
    """Where a head's rim has a colour that little of it has."""
    rare = np.zeros(len(rim), bool)
    if not rim.any():
        return rare
    weighted = lab[rim] * LAB_WEIGHTS
    alike = np.linalg.norm(weighted[:, None] - weighted[None], axis=-1) < SKIN
    skin = _has_hue_of_skin(lab[rim])
    few = (alike.mean(1) < RARE) | (skin & (skin.mean() < RARE_SKIN))
    if not few.all():
        rare[np.flatnonzero(rim)[few]] = True
    return rare


def _has_hue_of_skin(lab: Float[np.ndarray, "*batch 3"]) -> Bool[np.ndarray, "*batch"]:
    return (lab[..., 1] > 6) & (lab[..., 2] > 8) & (lab[..., 0] > 40)
