"""A film as a folder of OpenEXR pictures in scene-linear light, for compositing and grading."""

import re
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenEXR
from jaxtyping import UInt8

from understudy.core.ahead import in_order
from understudy.core.errors import FootageError, quoted
from understudy.geometry.colour import linear_from_srgb_bytes, srgb_bytes_from_linear
from understudy.io.exr import picture_header
from understudy.io.temporary import whole_file

__all__ = ["read_sequence", "write_sequence"]

_NAME = re.compile(r"film\.(\d{4,9})\.exr")


def write_sequence(
    folder: Path, frames: Iterable[UInt8[np.ndarray, "height width 3"]], frame_rate: Fraction, first: int = 1
) -> Iterator[int]:
    """Write sRGB pictures as `film.0001.exr` …, numbered from `first`; yields how many there are after each.

    R, G and B are halves of linear light with the primaries of Rec. 709, 1 is white; the header holds the rate and the
    number. Every byte of the pictures comes back from them.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def write(job: tuple[int, UInt8[np.ndarray, "height width 3"]]) -> None:
        number, frame = job
        light = linear_from_srgb_bytes(frame).astype(np.float16)
        channels = {name: np.ascontiguousarray(light[..., i]) for i, name in enumerate("RGB")}
        header = picture_header(frame_rate, number)
        header |= {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION}
        with whole_file(folder / f"film.{number:04d}.exr") as temporary:
            OpenEXR.File(header, channels).write(str(temporary))

    for count, _ in enumerate(in_order(write, enumerate(frames, first)), 1):
        yield count


def read_sequence(folder: Path, frames: Sequence[int] | None = None) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """What `write_sequence` wrote, as sRGB bytes: all frames, or those of these indices, counted from 0.

    Raises:
        FootageError: a picture is absent, or cannot be read.
    """
    numbered = sorted((int(found[1]), path) for path in folder.iterdir() if (found := _NAME.fullmatch(path.name)))
    for index in range(len(numbered)) if frames is None else frames:
        if index >= len(numbered):
            raise FootageError(f"{quoted(folder)} ends before its frame {index}, which was expected")
        path = numbered[index][1]
        try:
            channels = OpenEXR.File(str(path), separate_channels=True).channels()
            light = np.stack([channels[name].pixels for name in "RGB"], -1)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise FootageError(f"{quoted(path)} cannot be read as a frame of the film; write it again") from error
        yield srgb_bytes_from_linear(light.astype(np.float32))
