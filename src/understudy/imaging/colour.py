"""Between stored sRGB bytes and linear light."""

import numpy as np
from jaxtyping import Float, Int, UInt8

__all__ = [
    "BT709_XY",
    "LUMA",
    "bt709_from_rgb",
    "linear_from_srgb",
    "linear_from_srgb_bytes",
    "srgb_bytes_from_linear",
    "srgb_from_linear",
    "srgb_levels_from_linear",
    "xyz_from_rgb",
]

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Luminance of linear red, green and blue. Source: ITU-R BT.709."""
BT709_XY = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
"""Chromaticities of red, green and blue, those of sRGB too. Source: ITU-R BT.709."""

_D65_XY = (0.3127, 0.3290)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
"""From CIE XYZ to the responses that adapt to white. Source: ICC.1:2022, annex E."""
_CODES = 4096


def linear_from_srgb(value: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """sRGB 0 … 1 as linear light. Source: IEC 61966-2-1."""
    return np.where(value <= 0.04045, value / 12.92, ((np.maximum(value, 0.0) + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(value: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Linear light as sRGB 0 … 1; light above 1 stays above 1. Source: IEC 61966-2-1."""
    value = np.maximum(value, 0.0)
    return np.where(value <= 0.0031308, 12.92 * value, 1.055 * value ** (1 / 2.4) - 0.055)


_LINEAR = linear_from_srgb(np.arange(256) / 255).astype(np.float32)
# Indexed by the square root of linear light, where sRGB is nearly straight: off by less than 1/20 of a byte.
_SRGB_LEVELS = (255 * srgb_from_linear(np.linspace(0, 1, _CODES) ** 2)).astype(np.float32)
_SRGB_BYTES = np.round(_SRGB_LEVELS).astype(np.uint8)


def linear_from_srgb_bytes(picture: UInt8[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Bytes as linear light, float32, by table."""
    return _LINEAR[picture]


def srgb_bytes_from_linear(light: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Linear light as bytes, by table; light outside 0 … 1 is clipped."""
    return _SRGB_BYTES[_code(light)]


def srgb_levels_from_linear(light: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Linear light as levels 0 … 255, float32, by table, before they are rounded; light outside 0 … 1 is clipped."""
    return _SRGB_LEVELS[_code(light)]


def _code(light: Float[np.ndarray, "*shape"]) -> Int[np.ndarray, "*shape"]:
    root = np.sqrt(np.clip(light, 0.0, 1.0))
    return np.round(root * (_CODES - 1)).astype(np.int16)


def xyz_from_rgb(
    primaries: tuple[tuple[float, float], ...], white_xy: tuple[float, float] = _D65_XY
) -> Float[np.ndarray, "3 3"]:
    """From linear red, green and blue with these chromaticities, D65 white by default, to XYZ. Source: SMPTE RP 177."""
    columns = np.array([_xyz(xy) for xy in primaries]).T
    return columns * np.linalg.solve(columns, _xyz(white_xy))


def bt709_from_rgb(
    primaries: tuple[tuple[float, float], ...], white_xy: tuple[float, float] = _D65_XY
) -> Float[np.ndarray, "3 3"]:
    """From linear red, green and blue with these chromaticities to BT.709's; their white becomes D65 (Bradford)."""
    gain = (_BRADFORD @ _xyz(_D65_XY)) / (_BRADFORD @ _xyz(white_xy))
    adapted = np.linalg.solve(_BRADFORD, gain[:, None] * _BRADFORD)
    return np.linalg.solve(xyz_from_rgb(BT709_XY), adapted @ xyz_from_rgb(primaries, white_xy))


def _xyz(xy: tuple[float, float]) -> Float[np.ndarray, "3"]:
    """CIE XYZ of a chromaticity, Y = 1."""
    x, y = xy
    return np.array([x / y, 1.0, (1 - x - y) / y])
