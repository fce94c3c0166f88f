"""The sides of a figure: the colours of its rim at each level and the grain of its cloth, nothing that is seen once."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from understudy.characters.picture.paint.seen import Seen

__all__ = ["DEPTHS", "Sides", "sides_of"]

WORK_SCALE = 4.0
"""Pixels per cell at which colours are told from what stands out of them."""
ORNAMENT = 5.0
"""Cells across the square of which a median is taken: laces, buttons and locks are less than half of it, belts, cuffs
and hems keep their edges, since they go right across it."""
DEPTHS = (0.5, 1.25, 2.0)
"""Cells inside the rim at which a level's colour is read; the middle one of the three counts."""
GRAIN = 1.0
"""Cells; what is finer is grain."""
GRAIN_ROOM = 9.0
"""Cells across the square over which grain is compared."""
USUAL_GRAIN = 1.5
"""Times the median of the grain around, and of all: weave, knit, scales and fur stay, single lines and dots do not."""


@dataclass(frozen=True)
class Sides:
    """A picture parted into what goes around a figure at each level, and what repeats everywhere."""

    level: Seen
    grain: Seen

    @property
    def picture(self) -> Float[np.ndarray, "height width 3"]:
        """Both together."""
        return self.level.picture + self.grain.picture

    def colours(
        self, levels: Sequence[Float[np.ndarray, "texel 2"]], place: Float[np.ndarray, "texel 2"]
    ) -> Float[np.ndarray, "texel 3"]:
        """The middle one of three places at each texel's level, and the grain of a place."""
        found = np.stack([self.level.colours(at) for at in levels])
        return found.sum(0) - found.min(0) - found.max(0) + self.grain.colours(place)


def sides_of(seen: Seen, ornament: float = ORNAMENT, among: Bool[np.ndarray, "row column"] | None = None) -> Sides:
    """Part a panel that is padded beyond its edges.

    Args:
        ornament: cells across what is not carried around.
        among: cells that say what grain is usual: those of the hair, for a head; None: all that are seen.
    """
    picture = seen.picture
    height, width = picture.shape[:2]
    cell = height / seen.cloth.shape[0]
    scale = min(WORK_SCALE / cell * min(ORNAMENT / ornament, 1.0), 1.0)
    work = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    level = cv2.resize(_median(work, ornament * cell * scale), (width, height), interpolation=cv2.INTER_LINEAR)
    grain = picture - cv2.GaussianBlur(picture, (0, 0), GRAIN * cell)
    scale = min(WORK_SCALE / cell, 1.0)
    rough = cv2.resize(np.abs(grain), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    usual = USUAL_GRAIN * _median(rough, GRAIN_ROOM * cell * scale)
    known = seen.cloth[..., 3] > 0 if among is None or not among.any() else among
    known = cv2.resize(known.astype(np.uint8), usual.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    if known.any():
        usual = np.minimum(usual, USUAL_GRAIN * np.median(rough[known], 0))
    usual = cv2.resize(usual, (width, height), interpolation=cv2.INTER_LINEAR)
    # What is twice as rough as usual is not grain at all, and leaves no trace.
    grain *= np.clip(2 - np.abs(grain) / np.maximum(usual, 1e-3), 0, 1)
    return Sides(seen.with_picture(level), seen.with_picture(grain))


def _median(picture: Float[np.ndarray, "height width 3"], size_px: float) -> Float[np.ndarray, "height width 3"]:
    """Of a square about each pixel, in whole levels."""
    levels = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
    return cv2.medianBlur(levels, 2 * max(round(size_px / 2), 1) + 1).astype(np.float32)
