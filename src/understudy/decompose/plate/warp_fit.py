"""Brings one picture into another along a known map: the last pixel of alignment, and the tone.

Everything is measured at reduced size, where it costs little, and applied at full size in one interpolation.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from understudy.decompose.plate.affine_residual import affine_residual
from understudy.decompose.plate.blend import Box, match_tone

__all__ = ["WarpFit", "fit_warp", "full_size_map"]


@dataclass(frozen=True)
class WarpFit:
    """How a source picture is brought into a box of a target."""

    coarse: Float[np.ndarray, "rows columns 2"]
    """Where each pixel of the small box lies in the source: full-size indices."""
    A: Float[np.ndarray, "2 3"]
    """What is left to move, on indices of the small box, before `coarse` is looked up."""
    gain: Float[np.ndarray, "3"]
    offset: Float[np.ndarray, "3"]
    small: Float[np.ndarray, "rows columns 3"]
    """The source as the target sees it, at reduced size, in the target's tone."""
    small_inside: Bool[np.ndarray, "rows columns"]
    """Where the source's picture reaches."""


def fit_warp(
    source_small: Float[np.ndarray, "source_rows source_columns 3"],
    coarse: Float[np.ndarray, "rows columns 2"],
    target_small: Float[np.ndarray, "rows columns 3"],
    known: Bool[np.ndarray, "rows columns"],
    scale: int,
    align: bool = True,
) -> WarpFit:
    """Measure alignment and tone where the target is `known`."""
    rows, columns = source_small.shape[:2]
    at = (coarse + 0.5) / scale - 0.5
    inside = (at >= 0).all(-1) & (at[..., 0] <= columns - 1) & (at[..., 1] <= rows - 1)
    small = cv2.remap(source_small, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    A = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    if align:
        A = affine_residual(small, target_small, known & inside, max_px=2.0)
        small = _moved(small, A)
    gain, offset = match_tone(small, target_small, known & inside)
    gain, offset = gain.astype(np.float32), offset.astype(np.float32)
    return WarpFit(coarse, A, gain, offset, small * gain + offset, inside)


def _moved(small: np.ndarray, A: np.ndarray) -> np.ndarray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(small, A, (small.shape[1], small.shape[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def full_size_map(found: WarpFit, inner: Box, scale: int) -> Float[np.ndarray, "height width 2"]:
    """Where each pixel of `inner` (in full-size pixels of the fitted box) lies in the source: full-size indices."""
    x = (np.arange(inner.left, inner.right, dtype=np.float32) + 0.5) / scale - 0.5
    y = (np.arange(inner.top, inner.bottom, dtype=np.float32) + 0.5) / scale - 0.5
    A = found.A.astype(np.float32)
    # A margin of one keeps the map linear beyond the outermost centres; a replicated rim would shear the picture.
    coarse = cv2.copyMakeBorder(found.coarse, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    if min(found.coarse.shape[:2]) >= 2:
        coarse[0], coarse[-1] = 2 * coarse[1] - coarse[2], 2 * coarse[-2] - coarse[-3]
        coarse[:, 0], coarse[:, -1] = 2 * coarse[:, 1] - coarse[:, 2], 2 * coarse[:, -2] - coarse[:, -3]
    across = A[0, 0] * x[None] + A[0, 1] * y[:, None] + (A[0, 2] + 1)
    down = A[1, 0] * x[None] + A[1, 1] * y[:, None] + (A[1, 2] + 1)
    return cv2.remap(coarse, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
