"""The colours of a picture file, whatever its profile, as sRGB."""

# Pillow has types of colour profiles in part.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import io
from typing import Any, cast

import numpy as np
from PIL import Image, ImageCms

from understudy.imaging.colour import BT709_XY, linear_from_srgb, srgb_bytes_from_linear, xyz_from_rgb

__all__ = ["in_srgb"]

MAX_PROFILE_BYTES = 4 << 20
"""Profiles of presses have up to 3 MB."""
_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
"""An ICC profile's colour space, and Pillow's name for pictures in it."""
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.HIGHRESPRECALC
_SRGB_GAMMA = 1 / 2.2
_BAND_ROWS = 256


def in_srgb(image: Image.Image) -> Image.Image:
    """A decoded picture of any of Pillow's modes as RGBA in sRGB, with straight alpha.

    Colours go by the ICC profile, relative to white and with black on black; without one by a PNG's gamma and
    primaries. A profile that is damaged, or made for another kind of picture, is passed over, as viewers do. Deep grey
    keeps its upper eight bits.
    """
    gamma, chromaticities = image.info.get("gamma"), image.info.get("chromaticity")
    profile = image.info.get("icc_profile")
    is_srgb = "srgb" in image.info
    image = _plain(image)
    alpha = image.getchannel("A") if image.mode in ("RGBA", "LA") else None
    if alpha is not None:
        image = image.convert(image.mode[:-1])
    transform = _transform(profile, image.mode) if profile else None
    if transform is not None:
        image = transform.apply(image)
    image = image.convert("RGB")
    if not profile and not is_srgb and (gamma or chromaticities):
        image = _by_numbers(image, gamma or _SRGB_GAMMA, chromaticities)
    image.putalpha(255 if alpha is None else alpha)
    return image


def _plain(image: Image.Image) -> Image.Image:
    """In one of the modes L, LA, RGB, RGBA, CMYK and LAB."""
    if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB"):
        has_clear_colour = "transparency" in image.info and image.mode in ("L", "RGB")
        return image.convert("RGBA") if has_clear_colour else image
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=1e9, neginf=0.0)
        most = values.max(initial=0)
        scale = 1 / 257 if image.mode == "I" and most > 255 else 255 if image.mode == "F" and most <= 1 else 1
        return Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8))
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGBA")


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile to sRGB; None where nothing changes, or where the profile cannot serve."""
    if len(profile) > MAX_PROFILE_BYTES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        described = cast(Any, source.profile)  # Pillow types it as the file that it was read from
        if _MODES.get(described.xcolor_space) != mode:
            return None
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC, _FLAGS
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode not in ("RGB", "L"):
        return transform
    # Profiles that mean sRGB are many; through any of them pixels stay as they are, but for a rounding.
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
    probe = Image.fromarray(colours if mode == "RGB" else np.ascontiguousarray(colours[..., 0]))
    shown = np.asarray(ImageCms.applyTransform(probe, transform), np.int16)
    return None if np.abs(shown - np.asarray(probe.convert("RGB"), np.int16)).max() <= 2 else transform


def _by_numbers(image: Image.Image, gamma: float, chromaticities: tuple[float, ...] | None) -> Image.Image:
    """An RGB picture whose samples are light to the power `gamma`; x and y of its white, red, green and blue.

    Source: PNG specification (third edition), sections 11.3.2.1, 11.3.2.2 and 13.13; its white is taken for sRGB's.
    """
    xy = chromaticities or ()
    primaries = (xy[2:4], xy[4:6], xy[6:8]) if len(xy) == 8 else BT709_XY
    is_usual = abs(gamma / _SRGB_GAMMA - 1) < 0.02
    if not 0.1 <= gamma <= 10 or (is_usual and np.allclose(primaries, BT709_XY, atol=0.005)):
        return image
    codes = np.arange(256) / 255
    light_of = (linear_from_srgb(codes) if is_usual else codes ** (1 / gamma)).astype(np.float32)
    try:
        matrix = np.linalg.solve(xyz_from_rgb(BT709_XY), xyz_from_rgb(primaries)).astype(np.float32)
    except (ZeroDivisionError, np.linalg.LinAlgError):
        return image
    if not np.isfinite(matrix).all():
        return image
    pixels = np.array(image)
    for row in range(0, len(pixels), _BAND_ROWS):
        band = pixels[row : row + _BAND_ROWS]
        band[:] = srgb_bytes_from_linear(light_of[band] @ matrix.T)
    return Image.fromarray(pixels)
