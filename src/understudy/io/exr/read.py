"""OpenEXR pictures: the colours of the first part, within the display window, as linear light."""

# OpenEXR has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingTypeStubs=false

import itertools
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import Imath
import numpy as np
import OpenEXR
from jaxtyping import Float32

from understudy.runtime.budget import Budget
from understudy.runtime.errors import InputError, quoted

__all__ = ["ExrHeader", "read_exr", "read_exr_header"]

_BAND_ROWS = 128
_FLOAT = Imath.PixelType(Imath.PixelType.FLOAT)
_MAX_CHANNELS, _MAX_CHANNEL_BYTES = 4096, 1 << 18
_MAX_ATTRIBUTES = 8192
_LONGEST_NAMES = 600


@dataclass(frozen=True)
class ExrHeader:
    """What a file says of its picture."""

    width: int
    """Of the display window: the picture. Pixels may be stored for a part of it only, or beyond its edges."""
    height: int
    left: int
    """Of the data window (what is stored), from the display window's first column and row."""
    top: int
    data_width: int
    data_height: int
    channels: tuple[str | None, str | None, str | None]
    """Which channels are red, green and blue; None: there is none, it is 0."""
    first_row: int
    """The data window's, as the file counts."""
    pixel_aspect: Fraction
    chromaticities: tuple[float, ...] | None
    """x and y of red, green, blue and white."""
    frame_rate: Fraction | None


def read_exr_header(path: Path, budget: Budget, error: type[InputError]) -> ExrHeader:
    """Read what a file says, check it against the budget and against the file's length.

    Raises:
        InputError: of the kind `error`: damaged, deep, without colours, or too large.
    """
    name = quoted(path)
    _check_attributes(path, budget, error)
    # By its content: OpenEXR writes a name that it is given to the terminal as it is, and takes none that is no text.
    try:
        with path.open("rb") as file:
            header = OpenEXR.File(file, header_only=True).header()
    except (RuntimeError, OSError) as problem:
        raise error(f"{name} is damaged or cut off ({problem}); export it again") from None
    if header["type"] not in (OpenEXR.scanlineimage, OpenEXR.tiledimage):
        raise error(f"{name} is a deep OpenEXR picture; flatten it")
    (left, top), (right, bottom) = ([int(v) for v in corner] for corner in header["displayWindow"])
    (data_left, data_top), (data_right, data_bottom) = ([int(v) for v in corner] for corner in header["dataWindow"])
    width, height = right - left + 1, bottom - top + 1
    data_width, data_height = data_right - data_left + 1, data_bottom - data_top + 1
    if min(width, height, data_width, data_height) < 1:
        raise error(f"{name} has no pixels; export it again")
    budget.take(f"its {width}×{height} pixels", width, height, bytes_each=12)
    budget.take(f"a row of {data_width} pixels", data_width, bytes_each=12 * _BAND_ROWS)
    if 8 * _chunks(header, data_width, data_height) > path.stat().st_size:
        raise error(f"{name} is cut off: {data_width}×{data_height} pixels need more bytes; export it again")
    budget.check_count("channels", len(header["channels"]), _MAX_CHANNELS)
    aspect = float(header.get("pixelAspectRatio", 1.0))
    rate = header.get("framesPerSecond")
    return ExrHeader(
        width, height, data_left - left, data_top - top, data_width, data_height,
        _colours(header["channels"], name, error), data_top,
        Fraction(aspect).limit_denominator(1000) if 1e-3 < aspect < 1e3 else Fraction(1),
        _chromaticities(header.get("chromaticities")),
        rate if isinstance(rate, Fraction) and rate > 0 else None,
    )  # fmt: skip


def read_exr(path: Path, header: ExrHeader, error: type[InputError]) -> Float32[np.ndarray, "height width 3"]:
    """The display window's red, green and blue as stored; 0 where nothing is.

    Raises:
        InputError: of the kind `error`: damaged or cut off.
    """
    light = np.zeros((header.height, header.width, 3), np.float32)
    columns = slice(max(0, header.left), min(header.width, header.left + header.data_width))
    stored = slice(columns.start - header.left, columns.stop - header.left)
    first, end = max(0, header.top), min(header.height, header.top + header.data_height)
    named = [channel for channel in dict.fromkeys(header.channels) if channel is not None]
    try:
        with path.open("rb") as file:
            source = OpenEXR.InputFile(file)
            for row in range(first, end, _BAND_ROWS) if columns.start < columns.stop else ():
                stop = min(row + _BAND_ROWS, end)
                start_in_file = header.first_row + row - header.top
                bands = source.channels(named, _FLOAT, start_in_file, start_in_file + stop - row - 1)
                for channel, band in zip(named, bands, strict=True):
                    values = np.frombuffer(band, np.float32).reshape(stop - row, header.data_width)[:, stored]
                    for at in (at for at, wanted in enumerate(header.channels) if wanted == channel):
                        light[row:stop, columns, at] = values
            source.close()
    except (RuntimeError, OSError) as problem:
        raise error(f"{quoted(path)} is damaged or cut off ({problem}); export it again") from None
    return light


def _check_attributes(path: Path, budget: Budget, error: type[InputError]) -> None:
    """See that the headers of all parts are short: for each of many channels OpenEXR looks through all others.

    What is no header ends the look. Source: OpenEXR documentation, OpenEXR File Layout.
    """
    with path.open("rb") as file:
        parts_follow = len(start := file.read(8)) == 8 and bool(start[5] & 0x10)
        for count in itertools.count():
            budget.check_count("attributes", count, _MAX_ATTRIBUTES)
            place = file.tell()
            name, _, rest = file.read(_LONGEST_NAMES).partition(b"\0")
            kind, _, rest = rest.partition(b"\0")
            if not name and parts_follow and kind:
                file.seek(place + 1)  # an empty name ends a part, two of them all
                continue
            if not name or len(rest) < 4:
                return
            (size,) = struct.unpack_from("<I", rest)
            if kind == b"chlist" and size > _MAX_CHANNEL_BYTES:
                raise error(f"{quoted(path)} has a list of channels of {size} bytes; export its colours alone")
            file.seek(place + len(name) + len(kind) + 6 + size)


def _colours(channels: list[Any], name: str, error: type[InputError]) -> tuple[str | None, str | None, str | None]:
    """R, G and B; of the only layer that has them; or the luminance for all three."""
    names = {channel.name for channel in channels if (channel.xSampling, channel.ySampling) == (1, 1)}
    layers = {channel.removesuffix("R") for channel in names if channel == "R" or channel.endswith(".R")}
    layers = {layer for layer in layers if names >= {layer + "G", layer + "B"}}
    if "" in layers or len(layers) == 1:
        layer = "" if "" in layers else layers.pop()
        return layer + "R", layer + "G", layer + "B"
    if layers:
        raise error(
            f"{name} has several layers ({quoted(', '.join(sorted(layers)))}) and none without a name; export one"
        )
    if any(channel.name in ("RY", "BY") for channel in channels):
        raise error(f"{name} holds luminance with chroma; export it with the channels R, G and B")
    if "Y" in names:
        return "Y", "Y", "Y"
    if names & {"R", "G", "B"}:
        red, green, blue = (channel if channel in names else None for channel in "RGB")
        return red, green, blue
    raise error(f"{name} has no channels R, G and B; export its colours under these names")


def _chunks(header: dict[str, Any], width: int, height: int) -> int:
    """At least how many blocks of pixels the file has an offset for."""
    if header["type"] == OpenEXR.tiledimage:
        tile = header["tiles"]
        return -(-width // max(tile.xSize, 1)) * -(-height // max(tile.ySize, 1))
    return -(-height // 256)


def _chromaticities(value: Any) -> tuple[float, ...] | None:
    numbers = None if value is None else np.asarray(value, np.float64).ravel()
    return tuple(numbers.tolist()) if numbers is not None and len(numbers) == 8 else None
