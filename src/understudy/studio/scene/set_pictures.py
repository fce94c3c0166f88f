"""Pictures of a set as a video model wants them: squares from one place, the start view first."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from understudy.geometry.panorama import level_views
from understudy.imaging.colour import LUMA, srgb_bytes_from_linear
from understudy.io.files import natural_key, reading
from understudy.io.pictures.files import PICTURE_SUFFIXES, read_picture
from understudy.io.pictures.high_dynamic_range import LIGHT_SUFFIXES, read_light
from understudy.runtime.errors import InputError, quoted

__all__ = ["PhotographedSet", "read_set"]

MAX_PICTURES = 32
MAX_SIDE_PX = 1536
CROP_PX = 256
"""Crops of a panorama are made this large; a model scales them to its own size."""
GREY = 0.18
"""The linear light that a high-dynamic-range panorama's middle is brought to, before highlights roll off."""


@dataclass(frozen=True)
class PhotographedSet:
    """A set as it was given: pictures from one place, or a panorama."""

    pictures: tuple[UInt8[np.ndarray, "_ _ 3"], ...]
    """The start view first; of a panorama none."""
    panorama: UInt8[np.ndarray, "height width 3"] | None = None
    left_out: int = 0
    """How many pictures of the folder were too many."""

    def views(self, crops: int) -> list[UInt8[np.ndarray, "_ _ 3"]]:
        """The pictures; or so many of a panorama, 90° wide at equal angles, its middle the start view."""
        if self.panorama is None:
            return list(self.pictures)
        views, _, _ = level_views(self.panorama, crops, CROP_PX)
        return list((views + 0.5).astype(np.uint8))


def read_set(path: Path) -> PhotographedSet:
    """A folder of pictures in the order of their names (view 9 before view 10), a panorama (twice as wide as high), or
    one picture.

    Pictures that lie in a folder within, such as images/, are found too; hidden files are left alone. Of many pictures
    MAX_PICTURES are taken, evenly, the start view among them. A panorama in Radiance or OpenEXR is exposed so that its
    middle tone is middle grey.

    Raises:
        InputError: nothing is there, or it is no picture.
    """
    if path.is_dir():
        files = _pictures_in(path)
        step = max(len(files) / MAX_PICTURES, 1.0)
        chosen = [files[int(number * step)] for number in range(min(len(files), MAX_PICTURES))]
        return PhotographedSet(tuple(_small(_flat(file)) for file in chosen), left_out=len(files) - len(chosen))
    if path.suffix.lower() in LIGHT_SUFFIXES:
        light = read_light(path)
        height, width = light.shape[:2]
        if width != 2 * height:
            raise InputError(f"{path} has {width}×{height} pixels; a panorama is twice as wide as high")
        return PhotographedSet((), _srgb(light))
    picture = _flat(path)
    height, width = picture.shape[:2]
    if width == 2 * height:
        return PhotographedSet((), picture)
    return PhotographedSet((_small(picture),))


def _pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, or of the one folder within that holds some.

    Raises:
        InputError: there are none, or several folders hold some.
    """
    with reading(folder, "folder of pictures", InputError, "give another"):
        within = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__"))]
        files = [entry for entry in within if entry.suffix.lower() in PICTURE_SUFFIXES and not entry.is_dir()]
        if files:
            return sorted(files, key=lambda file: natural_key(file.name))
        folders = [entry for entry in within if entry.is_dir() and _holds_pictures(entry)]
    if len(folders) == 1:
        return _pictures_in(folders[0])
    if folders:
        names = ", ".join(sorted(entry.name for entry in folders)[:5])
        raise InputError(f"{folder} holds no pictures itself, but several folders do ({quoted(names)[1:-1]}); give one")
    raise InputError(f"the folder {folder} holds no pictures; give PNG or JPEG files, the start view first by name")


def _holds_pictures(folder: Path) -> bool:
    return any(
        entry.suffix.lower() in PICTURE_SUFFIXES and not entry.name.startswith(".") and entry.is_file()
        for entry in folder.iterdir()
    )


def _small(picture: UInt8[np.ndarray, "_ _ 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
    """A picture of no more pixels than any model looks at: many large ones would fill the memory."""
    scale = MAX_SIDE_PX / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _flat(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """A picture without its transparency."""
    return np.ascontiguousarray(read_picture(path)[..., :3])


def _srgb(light: Float[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    luminance = light @ LUMA.astype(np.float32)
    exposed = light * (GREY / max(float(np.exp(np.log(np.maximum(luminance, 1e-4)).mean())), 1e-4))
    # Highlights roll off, and four times white becomes white: x (1 + x / 4²) / (1 + x) (Reinhard et al. 2002).
    return srgb_bytes_from_linear(exposed * (1 + exposed / 16) / (1 + exposed))
