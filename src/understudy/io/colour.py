"""From the colour that a film is stored in to 8-bit sRGB."""

from functools import cache

import numpy as np
from jaxtyping import Float, UInt8, UInt16

from understudy.geometry.colour import BT709_XY, xyz_from_rgb

__all__ = ["needs_colour_management", "srgb_from_film"]

# ITU-T H.273, tables 2 and 3: code points of primaries and transfer characteristics.
_PQ, _HLG = 16, 18
_XY_OF_PRIMARIES = {
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # P3, DCI
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # P3, D65
}

_REFERENCE_WHITE_NITS = 203.0  # BT.2408: where white paper stands in an HDR picture.
_PEAK_NITS = 1000.0
_LINEAR_BELOW = 0.7  # Tones below this share of white stay as they are; those above roll off.


def needs_colour_management(transfer: int, primaries: int) -> bool:
    """Whether values with these H.273 codes are more than a matrix away from sRGB: HDR, or a wider gamut.

    BT.601 and BT.709 material is shown as it is, as monitors and players do.
    """
    return transfer in (_PQ, _HLG) or primaries in _XY_OF_PRIMARIES


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
        matrix = np.linalg.inv(xyz_from_rgb(BT709_XY)) @ xyz_from_rgb(_XY_OF_PRIMARIES[primaries])
        light = np.maximum(light @ matrix.T.astype(np.float32), 0)
    if transfer in (_PQ, _HLG):
        brightest = light.max(-1, keepdims=True)
        light *= _rolled_off(brightest) / np.maximum(brightest, 1e-6)
    return _srgb_table()[(np.clip(light, 0, 1) * 65535 + 0.5).astype(np.uint16)]


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
    elif transfer == _HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(v <= 0.5, v * v / 3, (np.exp((v - c) / a) + b) / 12)
    else:
        light = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


@cache
def _srgb_table() -> UInt8[np.ndarray, " code"]:
    """The sRGB byte of each 16-bit share of white (IEC 61966-2-1)."""
    v = np.arange(65536) / 65535
    return np.round(255 * np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055)).astype(np.uint8)
