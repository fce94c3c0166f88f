"""What a renderer hands over for one frame."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped, UInt8

__all__ = ["Layer", "PassKind", "Passes", "covered_box"]

PassKind = Literal["exr", "video", "png"]
"""How passes are written: as video, with a sequence of multi-layer EXR or of 8-bit PNG beside it."""


def covered_box(values: Shaped[np.ndarray, "height width"]) -> tuple[slice, slice]:
    """The smallest box of rows and columns outside of which a picture is zero or False; an empty one if all of it is.

    A character is a small part of most pictures: whoever works on passes works within this box.
    """
    covered = values.astype(bool, copy=False)
    rows = np.flatnonzero(covered.any(1))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    columns = np.flatnonzero(covered[rows[0] : rows[-1] + 1].any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What of a rendered frame goes over the set."""

    colour: Float[np.ndarray, "height width 3"]
    """Linear light, premultiplied by alpha, float32."""
    alpha: Float[np.ndarray, "height width"]
    """Coverage, 0 … 1."""
    shadow: Float[np.ndarray, "height width"]
    """Share of the key light that the characters take from the ground plane, 0 … 1; zero where there is no ground."""


@dataclass(frozen=True, kw_only=True)
class Passes(Layer):
    """One rendered frame, pass by pass."""

    depth_m: Float[np.ndarray, "height width"]
    """Along the camera's +Z; background is inf."""
    normals: Float[np.ndarray, "height width 3"]
    """Unit, world frame; zero in the background."""
    ids: UInt8[np.ndarray, "height width"]
    """Of the nearest surface: 0 background, n the n-th performance."""
    id_share: Float[np.ndarray, "height width"]
    """How much of the pixel the performance of `ids` covers, 0 … 1; 0 background."""
    motion_px: Float[np.ndarray, "height width 4"] | None = None
    """How far the nearest surface's point moves in the picture: right and down to the next frame, then right and down
    to the previous one. Zero in the background, and towards frames that the take has not; None: not asked for."""

    def matte(self, number: int) -> Float[np.ndarray, "height width"]:
        """How much of each pixel the performance of this number (from 1) covers, where nothing stands before it."""
        return np.where(self.ids == number, self.id_share, np.float32(0))
