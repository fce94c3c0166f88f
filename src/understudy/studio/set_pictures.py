"""Pictures of a set as a video model wants them: squares from one place, the start view first."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from understudy.core.errors import InputError
from understudy.geometry.colour import LUMA, srgb_bytes_from_linear
from understudy.geometry.panorama import level_views
from understudy.io.images import PICTURE_SUFFIXES, read_picture
from understudy.io.light_pictures import LIGHT_SUFFIXES, read_light

__all__ = ["read_set"]

CROP_PX = 256
"""Crops of a panorama are made this large; a model scales them to its own size."""
GREY = 0.18
"""The linear light that a high-dynamic-range panorama's middle is brought to, before highlights roll off."""


def read_set(path: Path, crops: int) -> list[UInt8[np.ndarray, "_ _ 3"]]:
    """A folder of pictures in the order of their names, a panorama (twice as wide as high), or one picture.

    A panorama gives `crops` pictures 90° wide at equal angles; its middle is the start view. As Radiance or OpenEXR it
    is exposed so that its middle tone is middle grey.

    Raises:
        InputError: nothing is there, or it is no picture.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES)
        if not files:
            raise InputError(
                f"the folder {path} holds no pictures; give PNG or JPEG files, the start view first by name"
            )
        return [_flat(file) for file in files]
    is_light = path.suffix.lower() in LIGHT_SUFFIXES
    picture = _srgb(read_light(path)) if is_light else _flat(path)
    height, width = picture.shape[:2]
    if width == 2 * height:
        views, _, _ = level_views(picture, crops, CROP_PX)
        return list((views + 0.5).astype(np.uint8))
    if is_light:
        raise InputError(f"{path} has {width}×{height} pixels; a panorama is twice as wide as high")
    return [picture]


def _flat(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """A picture without its transparency."""
    return np.ascontiguousarray(read_picture(path)[..., :3])


def _srgb(light: Float[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    luminance = light @ LUMA.astype(np.float32)
    exposed = light * (GREY / max(float(np.exp(np.log(np.maximum(luminance, 1e-4)).mean())), 1e-4))
    # Highlights roll off, and four times white becomes white: x (1 + x / 4²) / (1 + x) (Reinhard et al. 2002).
    return srgb_bytes_from_linear(exposed * (1 + exposed / 16) / (1 + exposed))
