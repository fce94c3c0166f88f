"""Still pictures on disk: any kind in, PNG out."""

import os
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from understudy.core.errors import PictureError
from understudy.io.temporary import temporary_name

__all__ = ["read_picture", "write_png"]

MIN_SIDE_PX = 64
MAX_PIXELS = 64_000_000


def read_picture(path: Path) -> UInt8[np.ndarray, "height width 4"]:
    """A still picture as sRGB with straight alpha, upright as its EXIF orientation says.

    The size is checked before pixels are decoded.

    Raises:
        PictureError: no such file, no picture, animated, cut off, under 64 pixels a side, or over 64 million pixels.
    """
    if not path.exists():
        raise PictureError(f"There is no picture {path}: check the name.")
    if path.is_dir():
        raise PictureError(f"{path} is a folder; give the picture itself.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # Our own limit follows.
            with Image.open(path) as image:
                _check(path, image)
                upright = ImageOps.exif_transpose(image)
                return np.array(_rgba(upright))
    except UnidentifiedImageError as error:
        raise PictureError(f"{path} is not a picture that can be read; give a PNG, JPEG or WebP file.") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{path} has far too many pixels; scale it to 4000 pixels or less a side.") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PictureError(f"{path} is damaged or cut off ({error}); export it again.") from error


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write bytes H × W (grey), H × W × 3 (RGB) or H × W × 4 (RGBA) as a PNG, whole or not at all."""
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise ValueError(f"a PNG takes bytes H × W, H × W × 3 or H × W × 4; got {pixels.dtype} {pixels.shape}")
    temporary = temporary_name(path)
    try:
        Image.fromarray(pixels).save(temporary, format="PNG", compress_level=3)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _check(path: Path, image: Image.Image) -> None:
    """Raise PictureError unless the header promises a still picture of a workable size."""
    width, height = image.size
    if getattr(image, "is_animated", False):
        raise PictureError(f"{path} is animated ({image.n_frames} frames); give a still picture.")
    if min(width, height) < MIN_SIDE_PX:
        raise PictureError(
            f"{path} has {width}×{height} pixels; pictures need at least {MIN_SIDE_PX} a side, characters better 700."
        )
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"{path} has {width}×{height} pixels, more than {MAX_PIXELS // 10**6} million; scale it to 4000 a side."
        )


def _rgba(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes as RGBA; deep grey keeps its upper eight bits."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGBA")
    if image.mode in ("I", "F"):
        values = np.asarray(image, np.float64)
        scale = (
            1 / 257 if image.mode == "I" and values.max(initial=0) > 255 else 255 if values.max(initial=0) <= 1 else 1
        )
        return Image.fromarray(np.clip(values * scale, 0, 255).astype(np.uint8)).convert("RGBA")
    return image.convert("RGBA")
