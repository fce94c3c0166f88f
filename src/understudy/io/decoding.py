"""Opening film files and turning what is in them into pictures: the part of reading that knows FFmpeg."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import overload

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from av.video.stream import VideoStream
from jaxtyping import UInt8

from understudy.core.errors import FootageError
from understudy.io.colour import needs_colour_management, srgb_from_film

__all__ = [
    "check_size",
    "decoded",
    "film",
    "open_film",
    "packets",
    "picture",
    "picture_turned",
    "shown_size",
    "sound_track",
]

MAX_SIDE_PX = 8192
MAX_PIXELS = 40_000_000

# Only containers of moving pictures, only from local files: playlists and scripts could name other files or hosts.
_CONTAINERS = (
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,mxf,flv,asf,ogg,gif,nut,ivf,dv,h264,hevc,m4v,yuv4mpegpipe,apng"
)
_EXACT = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
_MATRIX = {1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601,
           7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020}  # fmt: skip


def open_film(path: Path) -> InputContainer:
    """A film file as FFmpeg sees it; whoever opens it closes it.

    Raises:
        FootageError: missing, a folder, empty, truncated, or no film.
    """
    if not path.exists():
        raise FootageError(f"There is no file {path}: check the name.")
    if path.is_dir():
        raise FootageError(f"{path} is a folder; give the film file itself.")
    if path.stat().st_size == 0:
        raise FootageError(f"{path} is empty (0 bytes): copy or export it again.")
    try:
        return av.open(
            f"file:{path}",
            options={"protocol_whitelist": "file", "format_whitelist": _CONTAINERS},
            metadata_errors="ignore",
        )
    except (av.error.FFmpegError, OSError) as error:
        raise FootageError(
            f"{path} cannot be read as a film ({error.strerror}): it is another kind of file, or its end is missing; "
            "export it again, as MP4 for instance."
        ) from error


@contextmanager
def film(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """A film file and its picture stream, ready to decode.

    Raises:
        FootageError: as `open_film`; or it has no picture, or too large a one to decode.
    """
    with open_film(path) as container:
        streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
        if not streams:
            heard = " (only sound)" if container.streams.audio else ""
            raise FootageError(f"{path} holds no moving picture{heard}; give a film file.")
        stream = streams[0]
        if stream.codec_context is None:
            raise FootageError(f"{path} is in a codec that cannot be decoded here; convert it to H.264.")
        check_size(path, stream.codec_context.width, stream.codec_context.height)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(4, os.cpu_count() or 1)
        yield container, stream


def check_size(path: Path, width: int, height: int) -> None:
    """Raise FootageError unless a picture of this size can be worked on."""
    if width < 2 or height < 2:
        raise FootageError(f"{path} has a picture of {width}×{height} pixels; a shot needs a real picture.")
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise FootageError(
            f"{path} has {width}×{height} pixels, more than {MAX_SIDE_PX} a side or {MAX_PIXELS // 10**6} million: "
            "scale it down first, to 1920×1080 for instance."
        )


def sound_track(container: InputContainer) -> AudioStream | None:
    """The first sound track in a codec known here; None if there is none. Phones add tracks in codecs of their own."""
    return next((track for track in container.streams.audio if track.codec_context is not None), None)


def packets(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[Packet]:
    """All packets from where the container stands; where the file ends in the middle of one, what came before it."""
    try:
        yield from container.demux(stream)
    except av.error.FFmpegError:
        return


@overload
def decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]: ...
@overload
def decoded(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]: ...
def decoded(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[VideoFrame | AudioFrame]:
    """All frames from where the container stands, in the order in which they are shown; broken packets are left out."""
    for packet in packets(container, stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        yield from frames


def shown_size(frame: VideoFrame, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Width and height as shown: square pixels, turned as the metadata say. No side gets smaller than stored."""
    width, height = _square(frame, pixel_aspect)
    transposed, _, _ = _turn(frame)
    return (height, width) if transposed else (width, height)


def picture(frame: VideoFrame, width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    """A decoded frame as 8-bit sRGB, as shown, in this size."""
    transposed, _, _ = _turn(frame)
    size = (height, width) if transposed else (width, height)
    managed = needs_colour_management(frame.color_trc, frame.color_primaries)
    rgb = frame.reformat(
        width=size[0],
        height=size[1],
        # To packed 16 bits (rgb48le) swscale overflows where it interpolates all chroma of 4:2:0.
        format="gbrp16le" if managed else "rgb24",
        src_colorspace=_matrix(frame),
        dst_colorspace=_matrix(frame),
        src_color_range=_range(frame),
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.AREA if size[0] < frame.width else _EXACT,
        threads=1,
    ).to_ndarray()
    if managed:
        rgb = srgb_from_film(rgb, frame.color_trc, frame.color_primaries)
    return picture_turned(rgb, frame)


def picture_turned(pixels: np.ndarray, frame: VideoFrame) -> np.ndarray:
    """Pixels as stored, turned as the frame's metadata say."""
    transposed, mirrored, flipped = _turn(frame)
    if transposed:
        pixels = pixels.swapaxes(0, 1)
    if mirrored:
        pixels = pixels[:, ::-1]
    if flipped:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _square(frame: VideoFrame, pixel_aspect: Fraction | None) -> tuple[int, int]:
    aspect = Fraction(pixel_aspect or 1)
    if aspect <= 0:
        aspect = Fraction(1)
    if aspect >= 1:
        return round(frame.width * aspect), frame.height
    return frame.width, round(frame.height / aspect)


def _turn(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """How the display matrix turns the picture: (swap the axes, then mirror left–right, then flip top–bottom).

    Source: ISO/IEC 14496-12, 8.2.2: (p, q) is shown at (a p + c q, b p + d q).
    """
    for side in frame.side_data:
        if side.type == SideDataType.DISPLAYMATRIX:
            a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(side), "<i4")[:5])
            if abs(a) + abs(d) >= abs(b) + abs(c):
                return False, a < 0, d < 0
            return True, c < 0, b < 0
    return False, False, False


def _matrix(frame: VideoFrame) -> Colorspace:
    """The colour matrix; where the file names none, BT.709 for HD and BT.601 for smaller pictures, as players guess."""
    named = _MATRIX.get(int(frame.colorspace))
    if named is not None:
        return named
    return Colorspace.ITU709 if frame.width >= 1280 or frame.height > 576 else Colorspace.ITU601


def _range(frame: VideoFrame) -> ColorRange:
    if frame.format.is_rgb or frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj"):
        return ColorRange.JPEG
    return ColorRange.MPEG
