"""Pictures of light without an upper limit: Radiance (.hdr) and OpenEXR (.exr), as panoramas of sets come."""

import re
from pathlib import Path
from typing import Any

import cv2
import Imath
import numpy as np
import OpenEXR
from jaxtyping import Float32

from understudy.core.budget import Budget
from understudy.core.errors import PictureError, quoted
from understudy.geometry.colour import BT709_XY, xyz_from_rgb
from understudy.io.files import check_file, reading

__all__ = ["LIGHT_SUFFIXES", "read_light"]

LIGHT_SUFFIXES = (".hdr", ".exr")
MOST_BYTES = 256 << 20
MOST_MEMORY = 272 << 20
"""For the pixels: 23 million as OpenEXR, 17 million (5900 × 2950) as Radiance, whose file lies beside them."""
MOST_HEADER_BYTES = 64 << 10
MOST_LIGHT = 65504.0
"""The largest half-float number; stands for infinite light, too."""
_SMALLER = "scale it to 4096×2048"
_BAND_ROWS = 128
_FLOAT = Imath.PixelType(Imath.PixelType.FLOAT)


def read_light(path: Path) -> Float32[np.ndarray, "height width 3"]:
    """A picture as linear light, 0 … MOST_LIGHT, red, green and blue of BT.709; what kind it is, its content says.

    Its size is checked before memory is taken, and what the file must at least hold for it.

    Raises:
        PictureError: no such file, neither Radiance nor OpenEXR, cut off, too large, or without colours.
    """
    check_file(path, "panorama", MOST_BYTES, PictureError)
    with reading(path, "panorama", PictureError):
        with path.open("rb") as file:
            magic = file.read(4)
        if magic[:2] == b"#?":
            light = _radiance(path)
        elif magic == b"\x76\x2f\x31\x01":
            light = _open_exr(path)
        else:
            raise PictureError(f"{quoted(path)} is no Radiance (.hdr) and no OpenEXR picture (.exr); export it again")
    return np.clip(np.nan_to_num(light, copy=False, nan=0.0), 0.0, MOST_LIGHT, out=light)


def _radiance(path: Path) -> Float32[np.ndarray, "height width 3"]:
    """Source: G. Ward, Real Pixels, and the Radiance file formats: a header, an empty line, one line with the size."""
    name, length = quoted(path), path.stat().st_size
    with path.open("rb") as file:
        head = file.read(MOST_HEADER_BYTES)
        lines, empty, rest = head.partition(b"\n\n")
        size = re.match(rb"([-+])Y (\d{1,9}) ([-+])X (\d{1,9})\n", rest)
        if not empty or size is None:
            raise PictureError(f"{name} has no readable size in its header, or stands on its side; export it again")
        if b"\nFORMAT=32-bit_rle_xyze" in lines:
            raise PictureError(f"{name} holds CIE XYZ colours; export it with red, green and blue")
        (down, height, right, width) = (size[1], int(size[2]), size[3], int(size[4]))
        pixels_at = len(lines) + len(empty) + size.end()
        body = length - pixels_at
        budget = Budget(name, MOST_MEMORY, PictureError, _SMALLER)
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
        if file.readinto(memoryview(data)[len(own) :]) != body:
            raise PictureError(f"{name} changed while it was read; try again")
    try:
        light = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    except cv2.error:
        light = None
    if light is None or light.shape != (height, width, 3) or light.dtype != np.float32:
        raise PictureError(f"{name} is damaged or cut off; export it again")
    light = light[:: 1 if down == b"-" else -1, :: 1 if right == b"+" else -1]
    return cv2.cvtColor(np.ascontiguousarray(light), cv2.COLOR_BGR2RGB)


def _open_exr(path: Path) -> Float32[np.ndarray, "height width 3"]:
    """The first part's colours, or its luminance. Source: OpenEXR file layout."""
    name = quoted(path)
    # OpenEXR prints what it thinks of a file, and raises RuntimeError or ValueError.
    try:
        header = OpenEXR.File(str(path), header_only=True).header()
        (left, top), (last_x, last_y) = ([int(v) for v in corner] for corner in header["dataWindow"])
        width, height = last_x - left + 1, last_y - top + 1
        if header["type"] not in (OpenEXR.scanlineimage, OpenEXR.tiledimage):
            raise PictureError(f"{name} is a deep OpenEXR picture; flatten it")
        budget = Budget(name, MOST_MEMORY, PictureError, _SMALLER)
        budget.take(f"its {width}×{height} pixels", width, height, bytes_each=12)
        if not width * height:
            raise PictureError(f"{name} has no pixels; export it again")
        if 8 * _chunks(header, width, height) > path.stat().st_size:
            raise PictureError(f"{name} is cut off: {width}×{height} pixels need more bytes; export it again")
        names = {channel.name for channel in header["channels"] if (channel.xSampling, channel.ySampling) == (1, 1)}
        wanted = ["R", "G", "B"] if names >= {"R", "G", "B"} else ["Y"] if "Y" in names else []
        if not wanted:
            raise PictureError(f"{name} has no channels R, G and B; export its colours under these names")
        source = OpenEXR.InputFile(str(path))
        light = np.empty((height, width, 3), np.float32)
        for row in range(0, height, _BAND_ROWS):
            count = min(_BAND_ROWS, height - row)
            bands = source.channels(wanted, _FLOAT, top + row, top + row + count - 1)
            for at, band in enumerate(bands * (3 // len(bands))):
                light[row : row + count, :, at] = np.frombuffer(band, np.float32).reshape(count, width)
        source.close()
    except RuntimeError as error:
        raise PictureError(f"{name} is damaged or cut off ({error}); export it again") from None
    return _in_bt709(light, header.get("chromaticities"))


def _chunks(header: dict[str, Any], width: int, height: int) -> int:
    """At least how many blocks of pixels the file has an offset for."""
    if header["type"] == OpenEXR.tiledimage:
        tile = header["tiles"]
        return -(-width // max(tile.xSize, 1)) * -(-height // max(tile.ySize, 1))
    return -(-height // 256)


def _in_bt709(light: Float32[np.ndarray, "height width 3"], chromaticities: Any) -> np.ndarray:
    """From the primaries that the header names; their white is taken for ours."""
    if chromaticities is None:
        return light
    xy = [float(value) for value in np.asarray(chromaticities, np.float64).ravel()][:6]
    primaries = tuple((xy[at], xy[at + 1]) for at in (0, 2, 4))
    if np.allclose(primaries, BT709_XY, atol=0.005):
        return light
    matrix = np.linalg.solve(xyz_from_rgb(BT709_XY), xyz_from_rgb(primaries)).astype(np.float32)
    for row in range(0, len(light), _BAND_ROWS):
        light[row : row + _BAND_ROWS] = light[row : row + _BAND_ROWS] @ matrix.T
    return light
