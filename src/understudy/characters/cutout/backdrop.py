"""What stands behind a figure: its colours all over the picture, and the shadows on it."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage

__all__ = ["Backdrop", "find_backdrop", "lab_of"]

PLAIN_SHARE = 0.7
"""A backdrop is plain where at least this share of the picture's border is calm."""
CALM_LAB = 0.8
"""Backdrops change by less than this per pixel, in CIE Lab, but for lines and sharp shadows."""
GLOW_LAB, BEND_LAB = 2.4, 0.24
"""The light of a glow changes faster, but evenly: so much per pixel at most, and so little from pixel to pixel."""
SEEN_LAB = 4.0
"""A difference from the backdrop that counts, in CIE Lab."""
FOREIGN_LAB = 20.0
"""A calm piece that differs by more from the rest is no backdrop."""
_DARKEST = 0.002


@dataclass(frozen=True)
class Backdrop:
    """The backdrop of a picture of `height` × `width` pixels."""

    reached: Bool[np.ndarray, "height width"]
    """What lies before the figure's outline on the way from the picture's border: walls, floors, soft shadows."""
    noise_lab: float
    """How much it varies from pixel to pixel."""
    plain: bool
    """Whether it is one surface or a few, rather than a place full of things."""
    colours: tuple[Float[np.ndarray, "height width 3"], ...]
    """Two guesses at its colour behind the figure, sRGB 0 … 1: as lit, and as near by."""

    def distances(
        self, rgb: Float[np.ndarray, "height width 3"], darkest: Float[np.ndarray, "height width"]
    ) -> tuple[Float[np.ndarray, "height width"], Float[np.ndarray, "height width"]]:
        """How far colours are from the backdrop's, as it is and under the shadow that explains them best.

        A shadow scales all channels by one factor, which is at least `darkest`. Measured in differences that count
        (1: as likely the backdrop as not).
        """
        lab, unit = lab_of(rgb), max(SEEN_LAB, 3.0 * self.noise_lab)
        lit, shaded = [], []
        for colour in self.colours:
            factor = (rgb * colour).sum(-1) / np.maximum((colour * colour).sum(-1), 1e-6)
            factor = np.clip(factor, darkest, 1.0)[..., None]
            lit.append(np.linalg.norm(lab - lab_of(colour), axis=-1))
            shaded.append(np.linalg.norm(lab - lab_of(factor * colour), axis=-1))
        return np.min(lit, axis=0) / unit, np.min(shaded, axis=0) / unit


def lab_of(rgb: Float[np.ndarray, "height width 3"]) -> Float[np.ndarray, "height width 3"]:
    """CIE Lab of sRGB colours 0 … 1."""
    return cv2.cvtColor(np.clip(rgb, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB).astype(np.float64)


def find_backdrop(
    rgb: Float[np.ndarray, "height width 3"], body: Float[np.ndarray, "height width"], tall_px: float
) -> Backdrop:
    """The backdrop behind a figure of about `tall_px`, where `body` says how surely a pixel is the figure's, 0 … 1."""
    height, width = body.shape
    reached = _reach(rgb, body, max(2, round(0.006 * tall_px)))
    rim = _rim((height, width), max(3, round(0.03 * width)))
    outside = rim & (body < 0.5)
    plain = bool(outside.any()) and float(np.mean(reached[outside])) > PLAIN_SHARE
    # Colours right beside the figure are mixed with its own.
    clean = reached & (ndimage.distance_transform_edt(body < 0.1) > 0.01 * tall_px)
    if not clean.any():
        clean = rim
    lab = lab_of(rgb)

    def noise_of(colour: Float[np.ndarray, "height width 3"]) -> float:
        return max(float(np.median(np.linalg.norm(lab - lab_of(colour), axis=-1)[clean])) / 1.2, 0.6)

    lit = _as_lit(rgb, clean, noise_of(_spread(rgb, clean)))
    # A piece of quite another colour is a part of the figure that touches the border.
    pieces, count = ndimage.label(reached)
    away = ndimage.median(np.linalg.norm(lab - lab_of(lit), axis=-1), pieces, np.arange(1, count + 1))
    size = ndimage.sum_labels(reached, pieces, np.arange(1, count + 1))
    foreign = np.flatnonzero((np.atleast_1d(away) > FOREIGN_LAB) & (size < 0.1 * size.max(initial=0))) + 1
    reached &= ~np.isin(pieces, foreign)
    clean &= reached | ~reached.any()
    near = _spread(rgb, clean)
    return Backdrop(reached, noise_of(near), plain, (lit, near))


def _rim(shape: tuple[int, int], breadth: int) -> Bool[np.ndarray, "height width"]:
    rim = np.zeros(shape, bool)
    rim[:breadth], rim[-breadth:], rim[:, :breadth], rim[:, -breadth:] = True, True, True, True
    return rim


def _reach(
    rgb: Float[np.ndarray, "height width 3"], body: Float[np.ndarray, "height width"], radius: int
) -> Bool[np.ndarray, "height width"]:
    """Where a disc comes to from the picture's border without crossing an edge of colour or the body."""
    lab = lab_of(cv2.GaussianBlur(rgb, (0, 0), 1.0))
    slope = np.sqrt(sum(ndimage.sobel(lab[..., c], axis) ** 2 for c in range(3) for axis in (0, 1))) / 8
    bend = np.sqrt(sum(ndimage.gaussian_laplace(lab[..., c], 1.8) ** 2 for c in range(3)))
    calm = ((slope < CALM_LAB) | ((slope < GLOW_LAB) & (bend < BEND_LAB))) & (body < 0.5)
    disc = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    padded = np.pad(calm, radius, mode="edge").astype(np.uint8)
    core = cv2.erode(padded, disc)[radius:-radius, radius:-radius] > 0
    pieces, _ = ndimage.label(core)
    touching = np.unique(pieces[_rim(core.shape, max(3, round(0.03 * core.shape[1]))) & core])
    return (cv2.dilate(np.isin(pieces, touching).astype(np.uint8), disc) > 0) & calm


def _spread(
    rgb: Float[np.ndarray, "height width 3"], known: Bool[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width 3"]:
    """Known colours carried on, first along the rows, as walls and floors lie."""
    height, width = known.shape
    values = np.dstack([rgb * known[..., None], known]).astype(np.float32)
    total = np.zeros_like(values, np.float64)
    # Wider and wider means, each with a weight that only tells where the ones before know nothing.
    for x, y, weight in ((0.04 * width, 1.0, 1.0), (0.3 * width, 1.5, 1e-3), (0.3 * width, 0.05 * height, 1e-6)):
        total += weight * _blur(values, x, y)
    total += 1e-9 * values.mean((0, 1)) + np.array([0, 0, 0, 1e-15])
    return np.clip(total[..., :3] / total[..., 3:], _DARKEST, 1.0)


def _blur(values: Float[np.ndarray, "height width n"], x: float, y: float) -> Float[np.ndarray, "height width n"]:
    """A Gaussian mean; wide ones are taken on fewer columns."""
    step = max(1, round(x / 6))
    height, width = values.shape[:2]
    few = cv2.resize(values, (max(4, width // step), height), interpolation=cv2.INTER_AREA)
    few = cv2.GaussianBlur(few, (0, 0), x * few.shape[1] / width, sigmaY=y, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR)


def _as_lit(
    rgb: Float[np.ndarray, "height width 3"], known: Bool[np.ndarray, "height width"], noise_lab: float
) -> Float[np.ndarray, "height width 3"]:
    """A quadratic surface for the light plus a level for each row, for walls and floors, through the lit colours.

    Shadows only darken, so of what a row holds the lighter part counts.
    """
    height, width = known.shape
    y, x = np.mgrid[:height, :width]
    x, y = x / width - 0.5, y / height - 0.5
    basis = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1)
    lab, keep, level = lab_of(rgb), known, np.zeros((height, 1, 3))
    colour = rgb
    for turn in range(5):
        some = np.flatnonzero(keep)
        some = some[:: max(1, len(some) // 20_000)]
        left = (rgb - level).reshape(-1, 3)[some]
        surface = basis @ np.linalg.lstsq(basis.reshape(-1, 6)[some], left, rcond=None)[0]
        level = _row_levels(rgb - surface, keep, 0.75 if turn == 0 else 0.5)
        colour = np.clip(surface + level, _DARKEST, 1.0)
        close = known & (np.linalg.norm(lab - lab_of(colour), axis=-1) < max(4 * noise_lab, 2.5))
        keep = close if close.any() else known
    return colour


def _row_levels(
    residual: Float[np.ndarray, "height width 3"], keep: Bool[np.ndarray, "height width"], rank: float
) -> Float[np.ndarray, "height 1 3"]:
    """For each row the residual of this rank in brightness; rows that keep nothing lie between their neighbours."""
    levels = np.full((len(residual), 3), np.nan)
    bright = residual.mean(-1)
    for row in np.flatnonzero(keep.sum(1) >= 6):
        kept = residual[row, keep[row]]
        low, high = np.quantile(bright[row, keep[row]], [rank - 0.15, rank + 0.15])
        within = (bright[row, keep[row]] >= low) & (bright[row, keep[row]] <= high)
        levels[row] = np.median(kept[within], 0)
    known = np.flatnonzero(np.isfinite(levels[:, 0]))
    if len(known) == 0:
        return np.zeros((len(residual), 1, 3))
    rows = np.arange(len(residual))
    return np.stack([np.interp(rows, known, levels[known, c]) for c in range(3)], -1)[:, None]
