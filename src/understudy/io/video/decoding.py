"""Opening film files and turning what is in them into pictures: the part of reading that knows FFmpeg."""

# Where FFmpeg lacks a codec there is no codec context, of which PyAV's types say nothing.
# pyright: reportUnnecessaryComparison=false

import ctypes
import gc
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

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
from jaxtyping import UInt8, UInt16

from understudy.io.colour import needs_colour_management, srgb_from_film
from understudy.io.files import check_file, reading
from understudy.io.video.mp4_index import check_mp4_index
from understudy.runtime.errors import FootageError, quoted
from understudy.runtime.parallel import worker_count

__all__ = [
    "AnyPacket",
    "check_colours",
    "check_size",
    "decoded",
    "decoded_packet",
    "deep_picture",
    "film",
    "open_film",
    "packets",
    "picture",
    "promised_frames",
    "shown_size",
    "sought",
    "sound_tracks",
    "square_size",
]

MAX_BYTES = 1 << 42
MIN_SIDE_PX = 16
MAX_SIDE_PX = 8192
MAX_PIXELS = 40_000_000
MAX_ASPECT = 16
"""Of a picture's longer side, in shorter ones."""
MAX_STREAMS = 64
MAX_THREADS = 4
"""Of one decoder or encoder: each holds pictures."""
MAX_BLOCK_BYTES = 128 << 20
"""The largest picture has 120 MB as 8-bit RGB; an index of so many bytes, 5 million frames."""
_SQUARE_WITHIN = Fraction(1, 100)
"""A pixel aspect this near 1 comes from rounding in the file's own figures: its pixels are square."""

# Only containers of moving pictures, only from local files: playlists and scripts could name other files or hosts.
_CONTAINERS = (
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,mxf,flv,asf,ogg,gif,nut,ivf,dv,h264,hevc,m4v,yuv4mpegpipe,apng"
)
_PICTURES = "png_pipe,jpeg_pipe,tiff_pipe,dpx_pipe"
# Decoders refuse larger pictures before they take memory: any frame of a file may have a size of its own.
_DECODER_LIMITS = {"max_pixels": str(MAX_PIXELS)}
_UNNAMED_MATRICES = (0, 2, 3)
"""Codes of ITU-T H.273 for RGB, for nothing said, and reserved."""
_UPRIGHT = (False, False, False)
_TURNS_BY_DEGREES = {90: (True, False, True), 180: (False, True, True), 270: (True, True, False)}
# To packed 16 bits (rgb48le) swscale overflows where it interpolates all chroma of 4:2:0.
_DEEP = "gbrp16le"
_EXACT = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND
_MATRIX = {1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601,
           7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020}  # fmt: skip


MAX_UNCOLLECTED_PIXELS = 200_000_000
"""Of frames in garbage: 300 MB as they are decoded; a collection takes some 50 ms."""
_largest_block = 0
_pixels_since_collection = 0

if TYPE_CHECKING:
    AnyPacket = Packet[Any]
else:
    AnyPacket = Packet  # PyAV's class takes no arguments when it runs.


def bound_blocks(size: int = MAX_BLOCK_BYTES) -> None:
    """Let FFmpeg claim no block of memory larger than this, whatever a file's tables promise.

    The bound holds for the whole process, decoders and encoders alike, and never falls: an encoder of large pictures
    that needs more raises it by what the user's own shot asks for.
    """
    global _largest_block
    if size > _largest_block:
        _largest_block = size
        with suppress(OSError, AttributeError):  # Where its library cannot be asked by name (Windows).
            ctypes.CDLL(import_module("av._core").__file__).av_max_alloc(ctypes.c_size_t(size))


bound_blocks()


def open_film(path: Path) -> InputContainer:
    """A film file as FFmpeg sees it; whoever opens it closes it.

    Raises:
        FootageError: missing, a folder, a pipe or a device, empty, truncated, or no film.
    """
    check_file(path, "film", MAX_BYTES, FootageError)
    with reading(path, "film", FootageError, "check its rights, or export it again"):
        check_mp4_index(path)
    return _opened(path, _CONTAINERS, "film")


def _opened(path: Path, formats: str, what: str) -> InputContainer:
    if check_file(path, what, MAX_BYTES, FootageError) == 0:
        raise FootageError(f"{quoted(path)} is empty (0 bytes): copy or export it again.")
    try:
        return av.open(
            f"file:{path}",
            options={"protocol_whitelist": "file", "format_whitelist": formats, "max_streams": str(MAX_STREAMS)},
            # PyAV says list[str] of what it reads as a list of dicts.
            stream_options=cast(Any, [_DECODER_LIMITS] * MAX_STREAMS),
            metadata_errors="ignore",
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise FootageError(
            f"{quoted(path)} cannot be read as a {what} ({getattr(error, 'strerror', None) or error}): it is another"
            " kind of file, or its end is missing; export it again."
        ) from error


@contextmanager
def film(path: Path) -> Generator[tuple[InputContainer, VideoStream], None, None]:
    """A film file and its picture stream, ready to decode.

    Raises:
        FootageError: as `open_film`; or it has no picture, or too large a one to decode.
    """
    with open_film(path) as container:
        streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
        if not streams:
            heard = " (only sound)" if container.streams.audio else ""
            raise FootageError(f"{quoted(path)} holds no moving picture{heard}; give a film file.")
        stream = max(streams, key=lambda stream: bool(stream.disposition & stream.disposition.default))
        if stream.codec_context is None:
            raise FootageError(f"{quoted(path)} is in a codec that cannot be decoded here; convert it to H.264.")
        if not stream.time_base:
            raise FootageError(f"{quoted(path)} says nothing of when its frames are shown; export it again.")
        check_size(path, stream.codec_context.width, stream.codec_context.height)
        stream.codec_context.options = _DECODER_LIMITS
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(MAX_THREADS, worker_count())
        yield container, stream


def check_size(path: Path, width: int, height: int) -> None:
    """Raise FootageError unless a picture of this size, as shown, can be worked on."""
    short, long = sorted((width, height))
    if short == 0:
        raise FootageError(
            f"{quoted(path)} names no size of its picture, or has more than {MAX_PIXELS // 10**6} million pixels:"
            " export it again, in 1920×1080 for instance."
        )
    if short < MIN_SIDE_PX or long > MAX_ASPECT * short:
        raise FootageError(
            f"{quoted(path)} has a picture of {width}×{height} pixels; a shot needs {MIN_SIDE_PX} a side, and one side"
            f" at most {MAX_ASPECT} times the other: export it with square pixels in an ordinary size."
        )
    if long > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise FootageError(
            f"{quoted(path)} has {width}×{height} pixels, more than {MAX_SIDE_PX} a side or {MAX_PIXELS // 10**6}"
            " million: scale it down first, to 1920×1080 for instance."
        )


def promised_frames(container: InputContainer, stream: VideoStream) -> int:
    """How many frames a file says that it shows; 0 where it does not say.

    An edit list (ISO/IEC 14496-12, 8.6.6: how a clip is trimmed without encoding it again) leaves out some of the
    frames that are stored; FFmpeg marks those in the index, and drops those that no decoder needs.
    """
    if not container.format.name.startswith("mov"):
        return stream.frames
    shown = sum(not entry.is_discard for entry in stream.index_entries)
    return min(stream.frames, shown)


def sound_tracks(container: InputContainer) -> list[AudioStream]:
    """The sound tracks in codecs known here. Phones add tracks in codecs of their own."""
    return [
        track
        for track in container.streams.audio
        if track.codec_context is not None and track.codec_context.sample_rate > 0 and track.time_base
    ]


def sought(container: InputContainer, time: int, stream: VideoStream | None = None) -> bool:
    """Go to the key frame before a time, in the stream's units, or in FFmpeg's without one; False: there is no way."""
    try:
        container.seek(time, stream=stream)
    except (av.error.FFmpegError, OverflowError):
        return False
    return True


def packets(container: InputContainer, *streams: VideoStream | AudioStream) -> Iterator[AnyPacket]:
    """All packets from where the container stands; where the file ends in the middle of one, what came before it."""
    try:
        yield from container.demux(*streams)
    except av.error.FFmpegError as error:
        _raise_if_memory_is_short(error)


@overload
def decoded(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]: ...
@overload
def decoded(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]: ...
def decoded(container: InputContainer, stream: VideoStream | AudioStream) -> Iterator[VideoFrame | AudioFrame]:
    """All frames from where the container stands, in the order in which they are shown; broken packets are left out."""
    for packet in packets(container, stream):
        yield from decoded_packet(packet)


def decoded_packet(packet: AnyPacket) -> list[VideoFrame | AudioFrame]:
    """The frames of a packet; none of a broken one."""
    try:
        return packet.decode()
    except av.error.FFmpegError as error:
        _raise_if_memory_is_short(error)
        return []


def _raise_if_memory_is_short(error: av.error.FFmpegError) -> None:
    """FFmpeg gives one error for a machine without memory, which is no fault of the file's, and for a file that claims
    a block over MAX_BLOCK_BYTES, which is."""
    if isinstance(error, MemoryError):
        try:
            bytearray(MAX_BLOCK_BYTES)
        except MemoryError:
            raise error from None


def check_colours(path: Path, frame: VideoFrame) -> None:
    """Raise FootageError where a frame's colours are stored in a way that would come out wrong, such as ICtCp."""
    code = int(frame.colorspace)
    if code not in _MATRIX and code not in _UNNAMED_MATRICES and not frame.format.is_rgb:
        raise FootageError(
            f"{quoted(path)} stores its colours with matrix {code} of ITU-T H.273, which is not known here: convert it"
            " to BT.709."
        )


def shown_size(frame: VideoFrame, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Width and height as shown: square pixels, turned as the metadata say. No side gets smaller than stored."""
    width, height = square_size(frame.width, frame.height, pixel_aspect)
    transposed, _, _ = _turn(frame)
    return (height, width) if transposed else (width, height)


def picture(frame: VideoFrame, width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    """A decoded frame as 8-bit sRGB, as shown, in this size."""
    _let_go_of_frames(frame.width * frame.height)
    transposed, _, _ = _turn(frame)
    size = (height, width) if transposed else (width, height)
    if not needs_colour_management(frame.color_trc, frame.color_primaries):
        return _turned(_rgb(frame, *size, "rgb24"), frame)
    return _turned(srgb_from_film(_rgb(frame, *size, _DEEP), frame.color_trc, frame.color_primaries), frame)


def _let_go_of_frames(pixels: int) -> None:
    """Collect garbage once in a while: asked for its metadata, a frame lies in a cycle with them, and Python, which
    counts objects and not their bytes, would let gigabytes of large frames lie about."""
    global _pixels_since_collection
    _pixels_since_collection += pixels
    if _pixels_since_collection > MAX_UNCOLLECTED_PIXELS:
        _pixels_since_collection = 0
        gc.collect()


def deep_picture(path: Path) -> UInt16[np.ndarray, "height width 3"]:
    """The samples of a still picture (PNG, JPEG, TIFF, DPX) as shown, 0 … 65535, in whatever colour space it is.

    Raises:
        FootageError: damaged, of another kind, or too large to decode.
    """
    with _opened(path, _PICTURES, "picture") as container:
        (stream,) = container.streams.video[:1] or (None,)
        frame = None
        if stream is not None and stream.codec_context is not None:
            stream.codec_context.options = _DECODER_LIMITS
            frame = next(decoded(container, stream), None)
        if frame is None:
            raise FootageError(f"{quoted(path)} is damaged or cut off; export it again.")
        return _turned(_rgb(frame, frame.width, frame.height, _DEEP), frame)


def _rgb(frame: VideoFrame, width: int, height: int, pixels: str) -> np.ndarray:
    return frame.reformat(
        width=width,
        height=height,
        format=pixels,
        src_colorspace=_matrix(frame),
        dst_colorspace=_matrix(frame),
        src_color_range=_range(frame),
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.AREA if width < frame.width else _EXACT,
        threads=1,
    ).to_ndarray()


def _turned(pixels: np.ndarray, frame: VideoFrame) -> np.ndarray:
    """Pixels as stored, turned as the frame's metadata say."""
    transposed, mirrored, flipped = _turn(frame)
    if transposed:
        pixels = pixels.swapaxes(0, 1)
    if mirrored:
        pixels = pixels[:, ::-1]
    if flipped:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def square_size(width: int, height: int, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """The size with square pixels; no side gets smaller."""
    aspect = Fraction(pixel_aspect or 1)
    if aspect <= 0 or abs(aspect - 1) <= _SQUARE_WITHIN:
        aspect = Fraction(1)
    if aspect >= 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def _turn(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """How the display matrix turns the picture: (swap the axes, then mirror left–right, then flip top–bottom).

    Source: ISO/IEC 14496-12, 8.2.2: (p, q) is shown at (a p + c q, b p + d q).
    """
    try:
        matrix = frame.side_data.get(cast(Any, SideDataType.DISPLAYMATRIX))  # PyAV says that keys are str.
        values = np.frombuffer(bytes(matrix), "<i4") if matrix is not None else ()
    except (ValueError, BufferError):  # Beside metadata that PyAV has no name for, such as EXIF.
        return _TURNS_BY_DEGREES.get(round(frame.rotation / 90) * 90 % 360, _UPRIGHT)
    if len(values) < 5:
        return _UPRIGHT
    a, b, _, c, d = (int(value) for value in values[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


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
