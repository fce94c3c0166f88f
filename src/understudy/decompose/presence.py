"""When the actor is in the shot: from when they come in until they have left."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, UInt8

from understudy.decompose.rough_masks import MAX_PAINTED_GAP

__all__ = ["find_presence"]

LEAST_SHARE = 2e-5
"""Of the picture, of pixels that are mostly the actor's: a fingertip at the border counts, a speck does not."""


def find_presence(mattes: Iterable[UInt8[np.ndarray, "height width"]]) -> Bool[np.ndarray, " time"]:
    """In which frames the actor is there, by their matte in each frame, 0 … 255.

    The matte is made where landmarks were found, over short gaps between those, and at the picture's border for as long
    as a part of the actor is in it, which the landmark network does not see. So what the matte shows is there, and also
    what it shows again after a gap no longer than those.
    """
    shown = np.array([np.count_nonzero(matte > 127) >= max(4.0, LEAST_SHARE * matte.size) for matte in mattes], bool)
    for before, after in pairwise(np.flatnonzero(shown).tolist()):
        if after - before - 1 <= MAX_PAINTED_GAP:
            shown[before:after] = True
    return shown
