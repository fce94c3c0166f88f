"""Brings one picture into another along a known map, and into its tone.

The solved camera and the swept depth are trusted to the pixel: an affine alignment on top, measured on the surroundings
of a hole, made fills no better. The tone is measured at reduced size, where it costs little; pictures of full size are
interpolated once.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, Int32

from understudy.decompose.plate.blend import Box, match_tone
from understudy.imaging.channels import inside_picture

__all__ = ["WarpFit", "WarpTarget", "fit_warp", "full_size_map", "in_lines", "positions_of", "small_index"]


_LINE = 1024
"""Values in a line of a list that OpenCV looks up; it takes 32,767 at most."""


@dataclass(frozen=True)
class WarpTarget:
    """A box of a picture into which others are brought, at reduced size."""

    small: Float[np.ndarray, "rows columns 3"]
    known: Bool[np.ndarray, "rows columns"]
    """Where it may be compared with the others."""


@dataclass(frozen=True)
class WarpFit:
    """How a source picture is brought into a box of a target."""

    coarse: Float[np.ndarray, "rows columns 2"]
    """Where each pixel of the small box lies in the source: full-size indices."""
    gain: Float[np.ndarray, "3"]
    offset: Float[np.ndarray, "3"]
    small: Float[np.ndarray, "rows columns 3"]
    """The source as the target sees it, at reduced size, in the target's tone."""
    small_inside: Bool[np.ndarray, "rows columns"]
    """Where the source's picture reaches."""


def fit_warp(
    source_small: Float[np.ndarray, "source_rows source_columns 3"],
    coarse: Float[np.ndarray, "rows columns 2"],
    target: WarpTarget,
    scale: int,
) -> WarpFit:
    """Measure the tone where the target is known."""
    rows, columns = source_small.shape[:2]
    at = small_index(coarse, scale)
    inside = inside_picture(at, rows, columns)
    small = cv2.remap(source_small, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    gain, offset = match_tone(small, target.small, target.known & inside)
    gain, offset = gain.astype(np.float32), offset.astype(np.float32)
    return WarpFit(coarse, gain, offset, in_tone(small, gain, offset), inside)


def small_index(coarse: Float32[np.ndarray, "rows columns 2"], scale: int) -> Float32[np.ndarray, "rows columns 2"]:
    """Full-size indices as indices of the picture at 1/scale."""
    return coarse * np.float32(1 / scale) + np.float32(0.5 / scale - 0.5)


def in_tone(
    picture: Float32[np.ndarray, "rows columns 3"], gain: Float32[np.ndarray, "3"], offset: Float32[np.ndarray, "3"]
) -> Float32[np.ndarray, "rows columns 3"]:
    """gain · picture + offset, in one pass over the pixels."""
    return cv2.transform(picture, np.column_stack([np.diag(gain), offset]))


def full_size_map(found: WarpFit, inner: Box, scale: int) -> Float[np.ndarray, "height width 2"]:
    """Where each pixel of `inner` (in full-size pixels of the fitted box) lies in the source: full-size indices."""
    to_small = np.array([[1, 0, inner.left + 0.5 - scale / 2], [0, 1, inner.top + 0.5 - scale / 2], [0, 0, scale]])
    M = to_small[:2] / scale + [[0, 0, 1], [0, 0, 1]]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(_with_rim(found), M, inner.shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


def positions_of(
    found: WarpFit, rows: Int32[np.ndarray, " n"], columns: Int32[np.ndarray, " n"], scale: int
) -> Float32[np.ndarray, "n 2"]:
    """Where single pixels of the fitted box lie in the source: full-size indices."""
    y, x = (in_lines((place.astype(np.float32) + 0.5) / scale + 0.5) for place in (rows, columns))
    at = cv2.remap(_with_rim(found), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return at.reshape(-1, 2)[: len(rows)]


def in_lines(values: Float32[np.ndarray, "n ..."]) -> Float32[np.ndarray, "lines 1024 ..."]:
    """A list as a picture with lines of a fixed length, as OpenCV looks values up: one line may be too long for it."""
    padded = np.zeros((-(-len(values) // _LINE) * _LINE, *values.shape[1:]), np.float32)
    padded[: len(values)] = values
    return padded.reshape(-1, _LINE, *values.shape[1:])


def _with_rim(found: WarpFit) -> Float32[np.ndarray, "rows_and_2 columns_and_2 2"]:
    """The coarse map and a margin of one that keeps it linear beyond the outermost centres; a replicated rim would
    shear the picture."""
    coarse = cv2.copyMakeBorder(found.coarse, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    if min(found.coarse.shape[:2]) >= 2:
        coarse[0], coarse[-1] = 2 * coarse[1] - coarse[2], 2 * coarse[-2] - coarse[-3]
        coarse[:, 0], coarse[:, -1] = 2 * coarse[:, 1] - coarse[:, 2], 2 * coarse[:, -2] - coarse[:, -3]
    return coarse
