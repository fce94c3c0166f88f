"""A character of a front picture, completed by pictures of the same figure from behind and from the side."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, UInt8

from understudy.characters.sheet.depth import smoothed
from understudy.characters.sheet.painting import Photograph, overlap, painted
from understudy.characters.sheet.side import as_deep_as, facing_left
from understudy.core.character import Character, Doubt

__all__ = ["SheetPicture", "with_sheet"]

MIN_BACK, MIN_SIDE = 0.25, 0.6
"""Cosines: from behind all but the edges is painted, from the side only what faces it: the front shows the rest."""
MIN_OVERLAP = 0.7
"""Silhouettes of one figure in one pose overlap more."""


@dataclass(frozen=True)
class SheetPicture:
    """A picture of the figure, cut out."""

    rgb: UInt8[np.ndarray, "height width 3"]
    mask: Bool[np.ndarray, "height width"]


def with_sheet(character: Character, back: SheetPicture | None, side: SheetPicture | None) -> Character:
    """The character with the back that `back` shows, and the depth and the sides that `side` shows.

    All pictures show the same pose, the whole figure, about level with it. From the side it may look to the left or to
    the right; the other side is painted as its mirror image.
    """
    views, doubts = [], list(character.doubts)
    if side is not None:
        rgb, mask = (np.ascontiguousarray(a[:, ::-1]) if facing_left(side.mask) else a for a in (side.rgb, side.mask))
        character = as_deep_as(character, mask)  # the figure looks to the right, as seen from its right
        right = Photograph(rgb, mask, np.array([0.0, 0.0, 1.0]), MIN_SIDE)
        left_rgb, left_mask = (np.ascontiguousarray(a[:, ::-1]) for a in (rgb, mask))
        views += [right, Photograph(left_rgb, left_mask, np.array([0.0, 0.0, -1.0]), MIN_SIDE)]
        doubts += _doubts(character, right, "side")
    if back is not None:
        views.append(Photograph(back.rgb, back.mask, np.array([-1.0, 0.0, 0.0]), MIN_BACK))
        doubts += _doubts(character, views[-1], "back")
    if not views:
        return character
    if side is not None:
        character = smoothed(character)
    return replace(painted(character, views), doubts=tuple(doubts))


def _doubts(character: Character, view: Photograph, name: str) -> list[Doubt]:
    found = overlap(character, view)
    if found >= MIN_OVERLAP:
        return []
    text = f"The {name} picture has another outline than the character (overlap {found:.2f}): give the same pose."
    return [Doubt(text, "poor")]
