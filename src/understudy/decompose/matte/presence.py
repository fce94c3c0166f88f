"""When the actor is in the shot: from when they come in until they have left."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, UInt8

from understudy.decompose.people.rough_masks import MAX_PAINTED_GAP

__all__ = ["find_presence"]

SOLID = 230
"""Coverage (of 255) from which a pixel is the actor's and no doubt of the matte."""
MIN_SHARE, MIN_PX = 0.001, 4
"""Solid pixels of the actor at their largest, and at all: a hand at the border counts, specks do not."""


def find_presence(mattes: Iterable[UInt8[np.ndarray, "height width"]]) -> Bool[np.ndarray, " time"]:
    """In which frames the actor is there, by their matte in each frame, 0 … 255.

    The matte is made where landmarks were found, over short gaps between those, and at the picture's border for as long
    as a part of the actor is in it, which the landmark network does not see. So what the matte shows is there, and also
    what it shows again after a gap no longer than those.
    """
    solid = np.array([np.count_nonzero(matte > SOLID) for matte in mattes])
    shown = solid >= max(MIN_SHARE * solid.max(initial=0), MIN_PX)
    for before, after in pairwise(np.flatnonzero(shown).tolist()):
        if after - before - 1 <= MAX_PAINTED_GAP:
            shown[before:after] = True
    return shown
