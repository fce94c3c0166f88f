"""Pictures of light without an upper limit: Radiance (.hdr) and OpenEXR (.exr), as panoramas of sets come."""

import re
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32

from understudy.io.colour import MAX_LIGHT, light_in_bt709
from understudy.io.exr.read import read_exr, read_exr_header
from understudy.io.files import check_file, reading
from understudy.runtime.budget import Budget
from understudy.runtime.errors import PictureError, quoted

__all__ = ["LIGHT_SUFFIXES", "read_light"]

LIGHT_SUFFIXES = (".hdr", ".exr")
MAX_BYTES = 256 << 20
MAX_MEMORY = 272 << 20
"""For the pixels: 23 million as OpenEXR, 17 million (5900 × 2950) as Radiance, whose file lies beside them."""
MAX_HEADER_BYTES = 64 << 10
_SMALLER = "scale it to 4096×2048"


def read_light(path: Path) -> Float32[np.ndarray, "height width 3"]:
    """A picture as linear light, 0 … MAX_LIGHT, red, green and blue of BT.709; what kind it is, its content says.

    Its size is checked before memory is taken, and what the file must at least hold for it.

    Raises:
        PictureError: no such file, neither Radiance nor OpenEXR, cut off, too large, or without colours.
    """
    check_file(path, "panorama", MAX_BYTES, PictureError)
    with reading(path, "panorama", PictureError):
        with path.open("rb") as file:
            magic = file.read(4)
        if magic[:2] == b"#?":
            light = _radiance(path)
        elif magic == b"\x76\x2f\x31\x01":
            light = _open_exr(path)
        else:
            raise PictureError(f"{quoted(path)} is no Radiance (.hdr) and no OpenEXR picture (.exr); export it again")
    return np.clip(np.nan_to_num(light, copy=False, nan=0.0), 0.0, MAX_LIGHT, out=light)


def _radiance(path: Path) -> Float32[np.ndarray, "height width 3"]:
    """Source: G. Ward, Real Pixels, and the Radiance file formats: a header, an empty line, one line with the size."""
    name, length = quoted(path), path.stat().st_size
    with path.open("rb") as file:
        head = file.read(MAX_HEADER_BYTES)
        lines, empty, rest = head.partition(b"\n\n")
        size = re.match(rb"([-+])Y (\d{1,9}) ([-+])X (\d{1,9})\n", rest)
        if not empty or size is None:
            raise PictureError(f"{name} has no readable size in its header, or stands on its side; export it again")
        if b"\nFORMAT=32-bit_rle_xyze" in lines:
            raise PictureError(f"{name} holds CIE XYZ colours; export it with red, green and blue")
        (down, height, right, width) = (size[1], int(size[2]), size[3], int(size[4]))
        pixels_at = len(lines) + len(empty) + size.end()
        body = length - pixels_at
        budget = Budget(name, MAX_MEMORY, PictureError, _SMALLER)
        budget.take(f"its {width}×{height} pixels", width, height, bytes_each=12)
        budget.take("its file", body)
        # Each row has a mark, and four channels in runs of up to 127; rows of odd widths are not packed.
        least = 4 + 8 * -(-width // 127) if 8 <= width <= 32767 else 4 * width
        if body < height * min(least, 4 * width) or not width * height:
            raise PictureError(f"{name} is cut off: {width}×{height} pixels need more than its {length} bytes")
        # OpenCV looks for the size by itself: it gets a header that says nothing else.
        own = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (height, width)
        data = np.empty(len(own) + body, np.uint8)
        data[: len(own)] = np.frombuffer(own, np.uint8)
        file.seek(pixels_at)
        if file.readinto(data.data[len(own) :]) != body:
            raise PictureError(f"{name} changed while it was read; try again")
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # Its own words, beside our sentence.
    try:
        light = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    except cv2.error:
        light = None
    finally:
        cv2.utils.logging.setLogLevel(level)
    if light is None or light.shape != (height, width, 3) or light.dtype != np.float32:
        raise PictureError(f"{name} is damaged or cut off; export it again")
    light = light[:: 1 if down == b"-" else -1, :: 1 if right == b"+" else -1]
    return cv2.cvtColor(np.ascontiguousarray(light), cv2.COLOR_BGR2RGB)


def _open_exr(path: Path) -> Float32[np.ndarray, "height width 3"]:
    header = read_exr_header(path, Budget(quoted(path), MAX_MEMORY, PictureError, _SMALLER), PictureError)
    return light_in_bt709(read_exr(path, header, PictureError), header.chromaticities)
