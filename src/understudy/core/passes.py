"""What a renderer hands over for one frame."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

__all__ = ["PassKind", "Passes"]

PassKind = Literal["exr", "video", "png"]
"""How passes are written: as video, with a sequence of multi-layer EXR or of 8-bit PNG beside it."""


@dataclass(frozen=True)
class Passes:
    """One rendered frame, pass by pass."""

    colour: Float[np.ndarray, "height width 3"]
    """Linear light, premultiplied by alpha, float32."""
    alpha: Float[np.ndarray, "height width"]
    """Coverage, 0 … 1."""
    depth_m: Float[np.ndarray, "height width"]
    """Along the camera's +Z; background is inf."""
    normals: Float[np.ndarray, "height width 3"]
    """Unit, world frame; zero in the background."""
    ids: UInt8[np.ndarray, "height width"]
    """Of the nearest surface: 0 background, n the n-th performance."""
    id_share: Float[np.ndarray, "height width"]
    """How much of the pixel the performance of `ids` covers, 0 … 1; 0 background."""
    shadow: Float[np.ndarray, "height width"]
    """Share of the key light that the characters take from the ground plane, 0 … 1; zero where there is no ground."""
    motion_px: Float[np.ndarray, "height width 4"] | None = None
    """How far the nearest surface's point moves in the picture: right and down to the next frame, then right and down
    to the previous one. Zero in the background, and towards frames that the take has not; None: not asked for."""

    def matte(self, number: int) -> Float[np.ndarray, "height width"]:
        """How much of each pixel the performance of this number (from 1) covers, where nothing stands before it."""
        return np.where(self.ids == number, self.id_share, np.float32(0))
