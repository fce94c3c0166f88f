"""How a film's noise looks, so that what we put into a frame does not look frozen or too clean."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import cv2
import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter

from understudy.runtime.checks import check_finite, check_shape

__all__ = ["GRAIN_NODES", "Grain", "estimate_grain", "flat_areas", "grain_field"]

GRAIN_NODES = np.array([0.0, 48.0, 96.0, 144.0, 192.0, 255.0])
"""The brightnesses (8-bit sRGB) at which a grain's strength is known; between them it is interpolated."""

_TILE = 512
_MIN_SAMPLES = 400


@dataclass(frozen=True)
class Grain:
    """Noise that differs from frame to frame, by the brightness below it."""

    sigma: Float[np.ndarray, "node channel"]
    """Standard deviation at GRAIN_NODES for red, green, blue, in 8-bit sRGB levels."""
    blur_px: float
    """Radius (sigma of a Gaussian) of the grains; 0: neighbouring pixels are independent."""
    correlation: float = 0.0
    """Of the channels with each other: 1 is grey grain, 0 is coloured."""

    def __post_init__(self) -> None:
        check_shape("sigma", self.sigma, len(GRAIN_NODES), 3)
        check_finite("sigma", self.sigma)
        if not 0 <= self.correlation <= 1:
            raise ValueError(f"grain's channels correlate between 0 and 1; got {self.correlation}")


def flat_areas(
    luminance: Float[np.ndarray, "height width"], max_slope: float = 1.2
) -> Bool[np.ndarray, "height width"]:
    """Where a (denoised) picture has no edges that a slight misalignment would turn into noise.

    `max_slope` is the steepest slope that counts as flat, in levels per pixel.
    """
    smooth = cv2.GaussianBlur(luminance.astype(np.float32, copy=False), (0, 0), 1.0)
    difference, none = np.array([-0.5, 0.0, 0.5], np.float32), np.ones(1, np.float32)
    columns = cv2.sepFilter2D(smooth, cv2.CV_32F, difference, none, borderType=cv2.BORDER_REPLICATE)
    rows = cv2.sepFilter2D(smooth, cv2.CV_32F, none, difference, borderType=cv2.BORDER_REPLICATE)
    return (np.abs(rows) < max_slope) & (np.abs(columns) < max_slope)


def estimate_grain(
    residual: Float[np.ndarray, "height width 3"],
    luminance: Float[np.ndarray, "height width"],
    usable: Bool[np.ndarray, "height width"],
) -> Grain:
    """The grain of a picture, from what is left of it when its noise-free version is taken away.

    Args:
        residual: picture minus noise-free picture, in 8-bit levels.
        luminance: of the noise-free picture, 0 … 255.
        usable: where the residual is noise and nothing else (see `flat_areas`).
    """
    noise = residual[usable]
    nearest = np.searchsorted((GRAIN_NODES[1:] + GRAIN_NODES[:-1]) / 2, luminance[usable])
    overall = _spread(noise)
    sigma = np.tile(overall, (len(GRAIN_NODES), 1))
    for node in range(len(GRAIN_NODES)):
        inside = nearest == node
        if np.count_nonzero(inside) >= _MIN_SAMPLES:
            sigma[node] = _spread(noise[inside])
    return Grain(sigma, _blur_of(residual, usable, overall), _correlation_of(noise, overall))


def grain_field(
    grain: Grain, luminance: Float[np.ndarray, "height width"], seed: int
) -> Float[np.ndarray, "height width 3"]:
    """Fresh grain for a picture of this luminance (0 … 255), in 8-bit levels; the same seed gives the same grain."""
    height, width = luminance.shape
    tile = _unit_tile(round(grain.blur_px, 2), round(grain.correlation, 2))
    rng = np.random.default_rng(seed)
    top, left = rng.integers(_TILE, size=2).tolist()
    level = np.clip(luminance, 0, 255).astype(np.uint8)
    table = np.stack([np.interp(np.arange(256), GRAIN_NODES, grain.sigma[:, c]) for c in range(3)], -1)
    table = table.astype(np.float32)[:, None] * np.float32(rng.choice([-1.0, 1.0]))
    field = cv2.LUT(cv2.merge([level] * 3), table)
    # The stored tile is repeated once on each axis, so that any start has a full tile after it.
    start = tile[top : top + _TILE, left : left + _TILE]
    for row, column in product(range(0, height, _TILE), range(0, width, _TILE)):
        part = field[row : row + _TILE, column : column + _TILE]
        part *= start[: part.shape[0], : part.shape[1]]
    return field


def _spread(values: Float[np.ndarray, "n channel"]) -> Float[np.ndarray, " channel"]:
    """Robust standard deviation: half the distance between the 16th and the 84th percentile."""
    if len(values) < 16:
        return np.zeros(3)
    low, high = np.percentile(values, [15.87, 84.13], axis=0)
    # 8-bit rounding alone leaves a step of one level between the percentiles; plain deviation sees below it.
    robust = (high - low) / 2
    clipped = np.clip(values, np.percentile(values, 1, axis=0), np.percentile(values, 99, axis=0))
    return np.asarray(np.where(robust < 1.0, clipped.std(axis=0), robust), np.float64)


def _blur_of(
    residual: Float[np.ndarray, "height width 3"],
    usable: Bool[np.ndarray, "height width"],
    sigma: Float[np.ndarray, " channel"],
) -> float:
    """The Gaussian radius whose neighbouring pixels correlate as those of the residual."""
    both = usable[:, 1:] & usable[:, :-1]
    if np.count_nonzero(both) < _MIN_SAMPLES:
        return 0.0
    a, b = residual[:, 1:][both].ravel(), residual[:, :-1][both].ravel()
    spread = 3 * max(float(sigma.max()), 0.5)
    keep = (np.abs(a) < spread) & (np.abs(b) < spread)
    power = float((a[keep] ** 2 + b[keep] ** 2).mean()) / 2 if keep.any() else 0.0
    correlation = float((a[keep] * b[keep]).mean()) / power if power > 0 else 0.0
    # White noise under a Gaussian of radius s has the correlation exp(-1 / (4 s²)) between neighbours.
    return float(np.clip(0.5 / np.sqrt(-np.log(np.clip(correlation, 1e-4, 0.8))), 0.0, 1.5)) if correlation > 0 else 0.0


def _correlation_of(residual: Float[np.ndarray, "n channel"], sigma: Float[np.ndarray, " channel"]) -> float:
    """Mean correlation between the channels, without the outliers."""
    limit = 3 * np.maximum(sigma, 0.5)
    kept = residual[(np.abs(residual) < limit).all(1)].astype(np.float64)
    if len(kept) < _MIN_SAMPLES or kept.std(0).min() < 1e-3:
        return 0.0
    matrix = np.corrcoef(kept.T)
    return float(np.clip((matrix.sum() - 3) / 6, 0.0, 0.98))


@lru_cache(maxsize=2)
def _unit_tile(blur_px: float, correlation: float) -> Float[np.ndarray, "two_tiles two_tiles 3"]:
    """A tile of noise of unit variance that repeats without a seam, laid out twice on each axis."""
    rng = np.random.default_rng(7)
    own = rng.standard_normal((_TILE, _TILE, 3))
    common = rng.standard_normal((_TILE, _TILE, 1))
    noise = (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own).astype(np.float32)
    if blur_px > 0.3:
        noise = gaussian_filter(noise, (blur_px, blur_px, 0), mode="wrap")
    return np.tile(noise / noise.std(axis=(0, 1)), (2, 2, 1))
