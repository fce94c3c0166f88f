"""The finished film as the user wants it: a film for players, one for editing, or a sequence for compositing."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from understudy.core.footage import Shot
from understudy.io.video.film_sequence import write_sequence
from understudy.io.video.streams import Sound, open_shot, read_frames, read_video, write_film, write_sound
from understudy.runtime.errors import InputError
from understudy.studio.options import FilmCodec

__all__ = ["check_codec", "film_name", "read_film", "write_in_codec"]

Frames = Iterator[UInt8[np.ndarray, "height width 3"]]

MIN_DNXHR_PX = (256, 120)
"""Width and height (SMPTE ST 2019-1)."""

log = logging.getLogger(__name__)


def film_name(codec: FilmCodec) -> str:
    """The name of the film's file; of its folder, for a sequence."""
    return {"h264": "film.mp4", "prores4444": "film.mov", "dnxhr": "film.mov", "exr": "film"}[codec]


def check_codec(codec: FilmCodec, shot: Shot) -> None:
    """Raise InputError unless a shot of this size can be written in a codec."""
    width, height = MIN_DNXHR_PX
    if codec == "dnxhr" and (shot.width < width or shot.height < height):
        raise InputError(
            f"--film-codec dnxhr needs pictures of {width}×{height} pixels at least, the shot has"
            f" {shot.width}×{shot.height}; choose prores4444 or exr"
        )


def write_in_codec(path: Path, codec: FilmCodec, shot: Shot, frames: Frames, first_frame: int) -> Sound:
    """Write the film with the shot's sound; says what became of that.

    A sequence is numbered from `first_frame` and has the shot's mean rate; its sound lies beside it as sound.mov.
    """
    if codec != "exr":
        return write_film(path, shot, frames, "film" if codec == "h264" else codec)
    if np.ptp(np.diff(shot.timestamps * float(shot.time_base))) > 0.1 / float(shot.frame_rate):
        log.warning("The shot's frame rate varies; a sequence of pictures has its mean, %g.", float(shot.frame_rate))
    write_sequence(path, frames, shot.frame_rate, first_frame)
    return write_sound(path / "sound.mov", shot)


def read_film(path: Path, frames: list[int] | range, max_side_px: int | None = None) -> Frames:
    """Frames of a written film, by their indices, rising, as sRGB bytes; see `read_frames`."""
    if path.is_dir():
        return read_frames(open_shot(path), frames, max_side_px)
    return read_video(path, frames, max_side_px)
