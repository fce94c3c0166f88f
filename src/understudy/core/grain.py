"""How a film's noise looks, so that what we put into a frame does not look frozen or too clean."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter

from understudy.core.checks import check_finite, check_shape

__all__ = ["GRAIN_NODES", "Grain", "estimate_grain", "flat_areas", "grain_field"]

GRAIN_NODES = np.array([0.0, 48.0, 96.0, 144.0, 192.0, 255.0])
"""The brightnesses (8-bit sRGB) at which a grain's strength is known; between them it is interpolated."""

_TILE = 512
_LEAST_SAMPLES = 400


@dataclass(frozen=True)
class Grain:
    """Noise that differs from frame to frame, by the brightness below it."""

    sigma: Float[np.ndarray, "node channel"]
    """Standard deviation at GRAIN_NODES for red, green, blue, in 8-bit sRGB levels."""
    blur_px: float
    """Radius (sigma of a Gaussian) of the grains; 0: neighbouring pixels are independent."""

    def __post_init__(self) -> None:
        check_shape("sigma", self.sigma, len(GRAIN_NODES), 3)
        check_finite("sigma", self.sigma)


def flat_areas(luminance: Float[np.ndarray, "height width"], most: float = 2.0) -> Bool[np.ndarray, "height width"]:
    """Where a (denoised) picture has no edges that a slight misalignment would turn into noise.

    `most` is the steepest slope that counts as flat, in levels per pixel.
    """
    smooth = gaussian_filter(luminance, 1.0)
    rows, columns = np.gradient(smooth)
    return (np.abs(rows) < most) & (np.abs(columns) < most)


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
    nearest = np.abs(luminance[..., None] - GRAIN_NODES).argmin(-1)
    overall = _spread(residual[usable])
    sigma = np.tile(overall, (len(GRAIN_NODES), 1))
    for node in range(len(GRAIN_NODES)):
        inside = usable & (nearest == node)
        if np.count_nonzero(inside) >= _LEAST_SAMPLES:
            sigma[node] = _spread(residual[inside])
    return Grain(sigma, _blur_of(residual, usable))


def grain_field(
    grain: Grain, luminance: Float[np.ndarray, "height width"], seed: int
) -> Float[np.ndarray, "height width 3"]:
    """Fresh grain for a picture of this luminance (0 … 255), in 8-bit levels; the same seed gives the same grain."""
    height, width = luminance.shape
    tile = _unit_tile(round(grain.blur_px, 2))
    rng = np.random.default_rng(seed)
    rows = (np.arange(height) + rng.integers(_TILE)) % _TILE
    columns = (np.arange(width) + rng.integers(_TILE)) % _TILE
    sign = rng.choice(np.array([-1.0, 1.0], np.float32), 3)
    field = tile[rows[:, None], columns[None]] * sign
    level = np.clip(luminance, 0, 255).astype(np.uint8)
    table = np.stack([np.interp(np.arange(256), GRAIN_NODES, grain.sigma[:, c]) for c in range(3)], -1)
    return field * table.astype(np.float32)[level]


def _spread(values: Float[np.ndarray, "n channel"]) -> Float[np.ndarray, " channel"]:
    """Robust standard deviation: half the distance between the 16th and the 84th percentile."""
    if len(values) < 16:
        return np.zeros(3)
    low, high = np.percentile(values, [15.87, 84.13], axis=0)
    # 8-bit rounding alone leaves a step of one level between the percentiles; plain deviation sees below it.
    robust = (high - low) / 2
    clipped = np.clip(values, np.percentile(values, 1, axis=0), np.percentile(values, 99, axis=0))
    return np.asarray(np.where(robust < 1.0, clipped.std(axis=0), robust), np.float64)


def _blur_of(residual: Float[np.ndarray, "height width 3"], usable: Bool[np.ndarray, "height width"]) -> float:
    """The Gaussian radius whose neighbouring pixels correlate as those of the residual."""
    both = usable[:, 1:] & usable[:, :-1]
    if np.count_nonzero(both) < _LEAST_SAMPLES:
        return 0.0
    a, b = residual[:, 1:][both].ravel(), residual[:, :-1][both].ravel()
    spread = 3 * max(float(_spread(residual[usable]).max()), 0.5)
    keep = (np.abs(a) < spread) & (np.abs(b) < spread)
    power = float((a[keep] ** 2 + b[keep] ** 2).mean()) / 2 if keep.any() else 0.0
    correlation = float((a[keep] * b[keep]).mean()) / power if power > 0 else 0.0
    # White noise under a Gaussian of radius s has the correlation exp(-1 / (4 s²)) between neighbours.
    return float(np.clip(0.5 / np.sqrt(-np.log(np.clip(correlation, 1e-4, 0.8))), 0.0, 1.5)) if correlation > 0 else 0.0


_TILES: dict[float, np.ndarray] = {}


def _unit_tile(blur_px: float) -> Float[np.ndarray, "tile tile 3"]:
    """A tile of noise of unit variance that repeats without a seam."""
    if blur_px not in _TILES:
        noise = np.random.default_rng(7).standard_normal((_TILE, _TILE, 3)).astype(np.float32)
        if blur_px > 0.3:
            noise = gaussian_filter(noise, (blur_px, blur_px, 0), mode="wrap")
        _TILES[blur_px] = noise / noise.std(axis=(0, 1))
    return _TILES[blur_px]
