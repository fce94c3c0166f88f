"""A film as a folder of OpenEXR pictures in scene-linear light, for compositing and grading."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from understudy.imaging.colour import linear_from_srgb_bytes
from understudy.io.exr.scan_lines import Channel, half_planes, write_channels
from understudy.io.exr.write import picture_header
from understudy.runtime.parallel import in_order

__all__ = ["write_sequence"]


def write_sequence(
    folder: Path, frames: Iterable[UInt8[np.ndarray, "height width 3"]], frame_rate: Fraction, first: int = 1
) -> None:
    """Write sRGB pictures as `film.0001.exr` …, numbered from `first`.

    R, G and B are halves of linear light with the primaries of Rec. 709, 1 is white; the header holds the rate and the
    number. Every byte of the pictures comes back from them (`open_shot`).
    """
    folder.mkdir(parents=True, exist_ok=True)

    def write(job: tuple[int, UInt8[np.ndarray, "height width 3"]]) -> None:
        number, frame = job
        height, width = frame.shape[:2]
        planes = half_planes(linear_from_srgb_bytes(frame))
        channels = {name: Channel(plane, np.s_[0:height, 0:width]) for name, plane in zip("RGB", planes, strict=True)}
        header = picture_header(frame_rate, number)
        write_channels(folder / f"film.{number:04d}.exr", header, height, width, channels)

    for _ in in_order(write, enumerate(frames, first)):
        pass
