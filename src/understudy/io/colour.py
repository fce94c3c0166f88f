"""From the colour that a film or its pictures are stored in to 8-bit sRGB."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from jaxtyping import Float, Float32, UInt8, UInt16

from understudy.core.footage import ColourSpace
from understudy.imaging.colour import (
    BT709_XY,
    bt709_from_rgb,
    linear_from_srgb,
    srgb_bytes_from_linear,
    srgb_from_linear,
)

__all__ = [
    "MAX_LIGHT",
    "ColourSpace",
    "light_in_bt709",
    "needs_colour_management",
    "srgb_from_film",
    "srgb_from_samples",
]


# ITU-T H.273, tables 2 and 3: code points of primaries and transfer characteristics.
_LINEAR, _PQ, _HLG = 8, 16, 18
_XY_OF_PRIMARIES = {
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # P3, DCI
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # P3, D65
}

MAX_LIGHT = 65504.0
"""The largest half-float number; stands for infinite light, too."""
_REFERENCE_WHITE_NITS = 203.0  # BT.2408: where white paper stands in an HDR picture.
_PEAK_NITS = 1000.0
_LINEAR_BELOW = 0.7  # Tones below this share of white stay as they are; those above roll off.


_ACES_WHITE = (0.32168, 0.33767)
_AP1 = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, *_ACES_WHITE)
_AP0 = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.0770, *_ACES_WHITE)
_DISPLAY_P3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290)
_CHROMATICITIES = {"display-p3": _DISPLAY_P3, "acescg": _AP1, "aces2065-1": _AP0}
"""x and y of red, green, blue and white. Sources: SMPTE ST 2065-1, Academy S-2014-004, SMPTE EG 432-1."""
_BAND_ROWS = 128
_MAX_CODE = 4.0
"""Of a float file that stores codes: anything above is white in any space."""


def needs_colour_management(transfer: int, primaries: int) -> bool:
    """Whether values with these H.273 codes are more than a matrix away from sRGB: light, HDR, or a wider gamut.

    BT.601 and BT.709 material is shown as it is, as monitors and players do.
    """
    return transfer in (_LINEAR, _PQ, _HLG) or primaries in _XY_OF_PRIMARIES


def srgb_from_film(
    rgb: UInt16[np.ndarray, "height width 3"], transfer: int, primaries: int
) -> UInt8[np.ndarray, "height width 3"]:
    """HDR or wide-gamut values as sRGB: linear light, BT.709 gamut, highlights rolled off.

    Sources: BT.2100 (PQ, HLG), BT.2408 (reference white); the roll-off is a Möbius curve that keeps the hue.
    """
    light = _linear_table(transfer)[rgb]
    if transfer == _HLG:
        # The system gamma of a 1000 nit display works on luminance (BT.2100, table 5).
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light *= np.maximum(luminance, 1e-6)[..., None] ** np.float32(0.2)
        light *= np.float32(_PEAK_NITS / _REFERENCE_WHITE_NITS)
    if primaries in _XY_OF_PRIMARIES:
        matrix = bt709_from_rgb(_XY_OF_PRIMARIES[primaries])
        light = np.maximum(light @ matrix.T.astype(np.float32), 0)
    if transfer in (_PQ, _HLG):
        brightest = light.max(-1, keepdims=True)
        light *= _rolled_off(brightest) / np.maximum(brightest, 1e-6)
    return _srgb_table()[(np.clip(light, 0, 1) * 65535 + 0.5).astype(np.uint16)]


def srgb_from_samples(
    samples: Float32[np.ndarray, "height width 3"], space: ColourSpace, chromaticities: Sequence[float] | None = None
) -> UInt8[np.ndarray, "height width 3"]:
    """The samples of a picture (codes are 0 … 1, light may be more) as sRGB; what is brighter than white is white.

    `chromaticities`: of red, green, blue and white, where the picture names its own; else those of the colour space.
    `samples` are used up.
    """
    if space in ("srgb", "rec709"):
        return (np.clip(np.nan_to_num(samples, copy=False), 0, 1) * 255 + 0.5).astype(np.uint8)
    for row in range(0, len(samples), _BAND_ROWS):
        band = samples[row : row + _BAND_ROWS]
        if space == "display-p3":
            band[:] = linear_from_srgb(np.clip(np.nan_to_num(band), 0, _MAX_CODE))
        elif space == "cineon":
            band[:] = _light_of_density(np.clip(np.nan_to_num(band), 0, _MAX_CODE))
    light = light_in_bt709(samples, chromaticities or _CHROMATICITIES.get(space))
    return srgb_bytes_from_linear(light)


def light_in_bt709(
    light: Float32[np.ndarray, "height width 3"], chromaticities: Sequence[float] | None
) -> Float32[np.ndarray, "height width 3"]:
    """Linear light, used up, from red, green, blue and white with these x and y to those of BT.709; None: these."""
    np.nan_to_num(light, copy=False, nan=0.0, posinf=MAX_LIGHT, neginf=0.0)
    if chromaticities is None or np.allclose(chromaticities[:6], np.ravel(BT709_XY), atol=0.005):
        return light
    red, green, blue, white = ((chromaticities[at], chromaticities[at + 1]) for at in (0, 2, 4, 6))
    try:
        matrix = bt709_from_rgb((red, green, blue), white).astype(np.float32)
    except (ZeroDivisionError, np.linalg.LinAlgError):
        return light
    if not np.isfinite(matrix).all():
        return light
    for row in range(0, len(light), _BAND_ROWS):
        light[row : row + _BAND_ROWS] = np.maximum(light[row : row + _BAND_ROWS] @ matrix.T, 0)
    return light


def _light_of_density(code: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Source: Kodak, Conversion of 10-bit Log Film Data to 8-bit Linear or Video Data (Cineon): 0.002 density a code,
    a gamma of 0.6."""
    black = 10 ** ((95 - 685) * 0.002 / 0.6)
    return ((10 ** ((code * 1023 - 685) * 0.002 / 0.6) - black) / (1 - black)).astype(np.float32)


def _rolled_off(light: Float[np.ndarray, "height width 1"]) -> Float[np.ndarray, "height width 1"]:
    """Identity up to a knee, then a Möbius curve through (peak, 1) with the same slope at the knee."""
    knee, peak = _LINEAR_BELOW, _PEAK_NITS / _REFERENCE_WHITE_NITS
    a = -(knee**2) * (peak - 1) / (knee**2 - 2 * knee + peak)
    b = (knee**2 - 2 * knee * peak + peak) / (peak - 1)
    scale = (b * b + 2 * b * knee + knee * knee) / (b - a)
    return np.where(light <= knee, light, scale * (light + a) / (light + b)).astype(np.float32)


@cache
def _linear_table(transfer: int) -> Float[np.ndarray, " code"]:
    """Linear light of each 16-bit code; 1 is white (for HLG: the scene's light before the system gamma)."""
    v = np.arange(65536) / 65535
    if transfer == _PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        p = v ** (1 / m2)
        light = (np.maximum(p - c1, 0) / (c2 - c3 * p)) ** (1 / m1) * 10000 / _REFERENCE_WHITE_NITS
    elif transfer == _LINEAR:
        light = v
    elif transfer == _HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(v <= 0.5, v * v / 3, (np.exp((v - c) / a) + b) / 12)
    else:
        light = linear_from_srgb(v)
    return light.astype(np.float32)


@cache
def _srgb_table() -> UInt8[np.ndarray, " code"]:
    """The sRGB byte of each 16-bit share of white (IEC 61966-2-1)."""
    v = np.arange(65536) / 65535
    return np.round(255 * srgb_from_linear(v)).astype(np.uint8)
