"""Brings one picture into another along a known map: the last pixel of alignment, and the tone.

Everything is measured at reduced size, where it costs little, and applied at full size in one interpolation.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int32

from understudy.decompose.plate.affine_residual import affine_residual
from understudy.decompose.plate.blend import Box, match_tone
from understudy.imaging.channels import inside_picture

__all__ = ["WarpFit", "fit_warp", "full_size_map", "in_lines", "positions_of"]


_LINE = 1024


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
    inside = inside_picture(at, rows, columns)
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
    x, y = _small_index(inner.left, inner.right, scale)[None], _small_index(inner.top, inner.bottom, scale)[:, None]
    return _looked_up(found, x, y)


def positions_of(
    found: WarpFit, rows: Int32[np.ndarray, " n"], columns: Int32[np.ndarray, " n"], scale: int
) -> Float32[np.ndarray, "n 2"]:
    """Where single pixels of the fitted box lie in the source: full-size indices."""
    y, x = ((place.astype(np.float32) + 0.5) / scale - 0.5 for place in (rows, columns))
    return _looked_up(found, in_lines(x), in_lines(y)).reshape(-1, 2)[: len(rows)]


def in_lines(values: Float32[np.ndarray, "n ..."]) -> Float32[np.ndarray, "lines 1024 ..."]:
    """A list as a picture with lines of a fixed length, as OpenCV looks values up: one line may be too long for it."""
    padded = np.zeros((-(-len(values) // _LINE) * _LINE, *values.shape[1:]), np.float32)
    padded[: len(values)] = values
    return padded.reshape(-1, _LINE, *values.shape[1:])


def _small_index(first: int, end: int, scale: int) -> Float32[np.ndarray, " n"]:
    return (np.arange(first, end, dtype=np.float32) + 0.5) / scale - 0.5


def _looked_up(
    found: WarpFit, x: Float32[np.ndarray, "..."], y: Float32[np.ndarray, "..."]
) -> Float32[np.ndarray, "lines columns 2"]:
    """The map at indices of the small box."""
    A = found.A.astype(np.float32)
    # A margin of one keeps the map linear beyond the outermost centres; a replicated rim would shear the picture.
    coarse = cv2.copyMakeBorder(found.coarse, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    if min(found.coarse.shape[:2]) >= 2:
        coarse[0], coarse[-1] = 2 * coarse[1] - coarse[2], 2 * coarse[-2] - coarse[-3]
        coarse[:, 0], coarse[:, -1] = 2 * coarse[:, 1] - coarse[:, 2], 2 * coarse[:, -2] - coarse[:, -3]
    across = A[0, 0] * x + A[0, 1] * y + (A[0, 2] + 1)
    down = A[1, 0] * x + A[1, 1] * y + (A[1, 2] + 1)
    return cv2.remap(coarse, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
