"""The single pictures of an image sequence: PNG, JPEG, TIFF, DPX and OpenEXR as 8-bit sRGB."""

import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from understudy.io.colour import ColourSpace, srgb_from_samples
from understudy.io.exr.read import ExrHeader, read_exr, read_exr_header
from understudy.io.files import check_file, reading
from understudy.io.pictures.files import picture_size, read_picture
from understudy.io.video.decoding import MAX_PIXELS, deep_picture
from understudy.runtime.budget import Budget
from understudy.runtime.errors import FootageError, quoted

__all__ = ["FRAME_SUFFIXES", "FrameHeader", "read_frame_header", "read_frame_picture"]

FRAME_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dpx", ".exr")
"""What names of a sequence's pictures end with; what a file is, its content says."""
MAX_BYTES = 1 << 30
_DPX_HEADER_BYTES = 1664
_DPX_CURVES: dict[int, ColourSpace] = {1: "cineon", 2: "linear", 3: "cineon"}
"""Transfer characteristics that are no display's: printing density, linear, logarithmic."""


@dataclass(frozen=True)
class FrameHeader:
    """What a picture says of itself."""

    width: int
    """Upright, in stored pixels."""
    height: int
    pixel_aspect: Fraction = Fraction(1)
    frame_rate: Fraction | None = None
    space: ColourSpace = "srgb"
    exr: ExrHeader | None = None
    is_dpx: bool = False


def read_frame_header(path: Path) -> FrameHeader:
    """What a picture of a sequence says of itself, checked before memory is taken.

    Raises:
        InputError: no regular file, none of the kinds, too large, or damaged.
    """
    what = "picture of a sequence"
    check_file(path, what, MAX_BYTES, FootageError)
    with reading(path, what, FootageError):
        with path.open("rb") as file:
            head = file.read(_DPX_HEADER_BYTES)
        if head[:4] == b"\x76\x2f\x31\x01":
            budget = Budget(quoted(path), 12 * 2 * MAX_PIXELS, FootageError, "scale the pictures to 1920×1080, say")
            exr = read_exr_header(path, budget, FootageError)
            return FrameHeader(exr.width, exr.height, exr.pixel_aspect, exr.frame_rate, "linear", exr)
        if head[:4] in (b"SDPX", b"XPDS"):
            return _dpx_header(path, head)
        return FrameHeader(*picture_size(path))


def read_frame_picture(
    path: Path, header: FrameHeader, space: ColourSpace | None, width: int, height: int
) -> UInt8[np.ndarray, "height width 3"]:
    """A picture as 8-bit sRGB in this size. Transparency is left out: light counts as it is stored.

    Args:
        header: of the same file.
        space: what it stores; None: what it says, by its profile, chromaticities or transfer characteristic.

    Raises:
        InputError: damaged, or changed since its header was read.
    """
    if header.exr is not None:
        with reading(path, "picture of a sequence", FootageError):
            light = read_exr(path, header.exr, FootageError)
        pixels = srgb_from_samples(light, space or header.space, None if space else header.exr.chromaticities)
    elif (space or header.space) in ("srgb", "rec709") and not header.is_dpx:
        pixels = read_picture(path)[..., :3]
    else:
        samples = deep_picture(path).astype(np.float32)
        samples /= 65535
        pixels = srgb_from_samples(samples, space or header.space)
    if pixels.shape[:2] != (header.height, header.width):
        raise FootageError(f"{quoted(path)} is not as its header says, or lies on its side; export it upright")
    if pixels.shape[:2] != (height, width):
        smaller = width * height < header.width * header.height
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return np.ascontiguousarray(pixels)


def _dpx_header(path: Path, head: bytes) -> FrameHeader:
    """Source: SMPTE ST 268-1: the generic image and orientation headers."""
    order = ">" if head[:4] == b"SDPX" else "<"
    if len(head) < _DPX_HEADER_BYTES:
        raise FootageError(f"{quoted(path)} is cut off within its header; export it again")
    width, height = struct.unpack_from(order + "2I", head, 772)
    across, down = struct.unpack_from(order + "2I", head, 1628)
    Budget(quoted(path), MAX_PIXELS, FootageError, "scale it down").take(f"its {width}×{height} pixels", width, height)
    if not width * height:
        raise FootageError(f"{quoted(path)} has no pixels; export it again")
    known = 0 < across < 10_000 and 0 < down < 10_000
    return FrameHeader(
        width,
        height,
        Fraction(across, down) if known else Fraction(1),
        space=_DPX_CURVES.get(head[801], "rec709"),
        is_dpx=True,
    )
