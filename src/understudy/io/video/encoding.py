"""Writing image streams, frame by frame."""

# PyAV has types of packets in part.
# pyright: reportUnknownMemberType=false

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from av.video.stream import VideoStream
from jaxtyping import Float

from understudy.core.passes import covered_box
from understudy.io.temporary import temporary_name
from understudy.io.video.decoding import MAX_THREADS, bound_blocks
from understudy.runtime.errors import FileFormatError
from understudy.runtime.parallel import worker_count

__all__ = ["VideoKind", "VideoWriter", "add_film_stream", "depth_table", "film_frame", "open_output"]

VideoKind = Literal["film", "prores4444", "dnxhr", "plate", "lossless", "lossless_alpha", "mask", "depth"]
"""What a stream is for.

film: H.264 for people's players (4:2:0, BT.709); an odd side is made even by repeating its last row or column.
prores4444, dnxhr: 4:4:4 in 10 bits (BT.709), for editing and grading; keeps odd sizes; .mov.
plate: as film, quick to write, and nobody sees its loss.
lossless, lossless_alpha, mask, depth: every byte comes back; for depth see `depth_table`.
"""

_DEPTH_NEAR_M, _DEPTH_FAR_M = 0.01, 10_000.0


@dataclass(frozen=True)
class _Codec:
    name: str
    pixels: str
    options: dict[str, str] = field(default_factory=dict[str, str])


# Chosen by measurement: CPU per 1280×720 frame of a real shot is 12 ms (film), 9 (plate), 10 (lossless), 4 (mask),
# 11 (depth, a person in the frame), 24 (lossless_alpha, a person in the frame).
_X264_THREADS = 2
"""Whatever the machine: x264 gives other bytes with every number. FFmpeg's own encoders do not."""
_FFV1 = {"level": "3", "slices": "4", "coder": "0", "slicecrc": "1"}
_CODECS: dict[VideoKind, _Codec] = {
    # Without "cpu-independent", x264's macroblock tree gives equal pictures unequal bytes by chance; it costs no time.
    "film": _Codec("libx264", "yuv420p", {"crf": "16", "preset": "veryfast", "x264-params": "cpu-independent=1"}),
    # Vendor: some programs open no other maker's ProRes.
    "prores4444": _Codec("prores_ks", "yuv444p10le", {"profile": "4444", "vendor": "apl0"}),
    "dnxhr": _Codec("dnxhd", "yuv444p10le", {"profile": "dnxhr_444"}),
    # Without arithmetic coding and deblocking it is a twentieth larger, and every later stage decodes it in two thirds
    # of the time; at this quality there are no blocks to hide.
    "plate": _Codec(
        "libx264",
        "yuv420p",
        {"crf": "10", "preset": "superfast", "g": "24", "x264-params": "cabac=0:no-deblock=1"},
    ),
    "lossless": _Codec("libx264rgb", "rgb24", {"qp": "0", "preset": "ultrafast", "g": "24"}),
    "lossless_alpha": _Codec("ffv1", "bgra", _FFV1),
    "mask": _Codec("ffv1", "gray", _FFV1),
    "depth": _Codec("ffv1", "gray16le", _FFV1),
}
_PACKET_BYTES_PER_PIXEL: dict[VideoKind, int] = {"lossless": 8, "lossless_alpha": 100, "mask": 24, "depth": 40}
"""What these encoders claim for a frame before they know how long it gets: FFV1 takes 2 × bits + 5 bytes a sample, in
4 samples of 8 or 9 bits, one of 8, one of 16."""
_PACKET_BYTES = 1 << 20
"""What comes on top, for all slices."""
# The mean of each 2 × 2 pixels is the narrowest filter for 4:2:0: with a wider one, colours that nobody touched blur
# with every generation.
_COLOURED = ("film", "prores4444", "dnxhr", "plate")
_EXACT = Interpolation.AREA | Interpolation.FULL_CHR_H_INP | Interpolation.ACCURATE_RND


class VideoWriter:
    """Writes one image stream at an exact, constant rate; use it as a context manager.

    The file appears under its name when the block ends well, and not at all when it ends with an error.
    Suffixes: .mp4, .mov or .mkv for "film" and "plate", .mkv for the others. `crf` is the quality of those two: the
    more, the smaller and the worse (x264: 0 … 51); None is good quality.
    """

    def __init__(
        self, path: Path, width: int, height: int, frame_rate: Fraction, kind: VideoKind, crf: int | None = None
    ) -> None:
        allowed = (".mp4", ".mov", ".mkv") if kind in ("film", "plate") else (".mkv",)
        if path.suffix.lower() not in allowed:
            raise ValueError(f"{path.name}: a {kind} video needs the suffix {' or '.join(allowed)}")
        if width < 1 or height < 1 or frame_rate <= 0:
            raise ValueError(f"a video needs a size and a rate; got {width}×{height} at {frame_rate}")
        if crf is not None and (kind not in ("film", "plate") or not 0 <= crf <= 51):
            raise ValueError(f"crf is a quality of film and plate videos, 0 … 51; got {crf} for {kind}")
        self.path = path
        self.width, self.height, self.count = width, height, 0
        self.kind: VideoKind = kind
        self._frame_rate, self._crf = Fraction(frame_rate), crf
        self._temporary = temporary_name(path)
        self._container: OutputContainer | None = None

    def __enter__(self) -> "VideoWriter":
        self._container = open_output(self._temporary)
        if self.kind == "depth":
            self._container.metadata["DEPTH_NEAR_M"] = repr(_DEPTH_NEAR_M)
            self._container.metadata["DEPTH_FAR_M"] = repr(_DEPTH_FAR_M)
            self._container.metadata["DESCRIPTION"] = (
                "Depth along +Z: code 65535 is nothing; else metres = near * (far / near) ** (code / 65534)"
            )
        self._stream = add_film_stream(
            self._container, self.width, self.height, self._frame_rate, self.kind, crf=self._crf
        )
        return self

    def write(self, frame: np.ndarray) -> None:
        """Append a frame of this kind: bytes H×W×3, H×W×4 (lossless_alpha), H×W (mask), or float metres H×W (depth).

        Raises:
            ValueError: the frame has another shape or type.
        """
        self.append(self.picture(frame))

    def picture(self, frame: np.ndarray) -> VideoFrame:
        """A frame ready for `append`; what `write` does first, for several frames at once.

        Raises:
            ValueError: as `write`.
        """
        return film_frame(frame, self.width, self.height, self.kind)

    def append(self, picture: VideoFrame) -> None:
        """Append what `picture` has made."""
        if self._container is None:
            raise ValueError("a VideoWriter writes only inside its with block")
        picture.pts, picture.time_base = self.count, 1 / self._frame_rate
        self._container.mux(self._stream.encode(picture))
        self.count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._container is not None
        try:
            if error is None:
                if self.count == 0:
                    raise ValueError(f"no frame was written to {self.path}")
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if error is None:
                os.replace(self._temporary, self.path)
        finally:
            self._container = None
            self._temporary.unlink(missing_ok=True)


def open_output(path: Path) -> OutputContainer:
    """A new film file; MP4 gets its index at the front, so that it plays while it loads."""
    # Without "bitexact", Matroska files get random identifiers, and equal videos would not be equal files.
    options = {"movflags": "+faststart"} if path.suffix.lower() in (".mp4", ".mov") else {"fflags": "+bitexact"}
    return av.open(f"file:{path}", "w", options=options)


def add_film_stream(
    container: OutputContainer,
    width: int,
    height: int,
    frame_rate: Fraction,
    kind: VideoKind,
    time_base: Fraction | None = None,
    crf: int | None = None,
) -> VideoStream:
    """A picture stream of this kind, ready for what `film_frame` gives; `time_base` is 1 / rate by default.

    `crf`: H.264's quality, 0 (no loss) … 51; None: the kind's own.
    """
    codec = _CODECS[kind]
    bound_blocks(width * height * _PACKET_BYTES_PER_PIXEL.get(kind, 0) + _PACKET_BYTES)
    quality = {} if crf is None else {"crf": str(crf)}
    stream = container.add_stream(codec.name, rate=frame_rate, options=codec.options | quality)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = _stored_size(width, height, kind)
    stream.pix_fmt = codec.pixels
    fixed = codec.name.startswith("libx264")
    stream.codec_context.thread_count = _X264_THREADS if fixed else min(MAX_THREADS, worker_count())
    if time_base is not None:
        stream.time_base = stream.codec_context.time_base = time_base
    if kind in _COLOURED:
        context = stream.codec_context
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream


def film_frame(frame: np.ndarray, width: int, height: int, kind: VideoKind) -> VideoFrame:
    """A frame as the codec of this kind wants it.

    Raises:
        ValueError: the frame has another shape or type than its kind says.
    """
    channels = {"lossless_alpha": (4,), "mask": (), "depth": ()}.get(kind, (3,))
    if frame.shape != (height, width, *channels):
        raise ValueError(f"a {kind} frame has shape {frame.shape}; expected {(height, width, *channels)}")
    if kind == "depth":
        return VideoFrame.from_ndarray(_codes_from_depth(frame), "gray16le")
    if frame.dtype != np.uint8:
        raise ValueError(f"a {kind} frame holds {frame.dtype}; expected uint8")
    frame = np.ascontiguousarray(frame)
    if kind == "mask":
        return VideoFrame.from_ndarray(frame, "gray")
    if kind == "lossless_alpha":
        return VideoFrame.from_ndarray(frame, "rgba").reformat(format="bgra", threads=1)
    if kind == "lossless":
        return VideoFrame.from_ndarray(frame, "rgb24")
    stored_width, stored_height = _stored_size(width, height, kind)
    if (stored_width, stored_height) != (width, height):
        frame = np.pad(frame, ((0, stored_height - height), (0, stored_width - width), (0, 0)), mode="edge")
    picture = VideoFrame.from_ndarray(frame, "rgb24").reformat(
        format=_CODECS[kind].pixels,
        dst_colorspace=Colorspace.ITU709,
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        dst_color_primaries=ColorPrimaries.BT709,
        dst_color_trc=ColorTrc.BT709,
        interpolation=_EXACT,
        threads=1,
    )
    picture.colorspace, picture.color_range = Colorspace.ITU709, ColorRange.MPEG
    return picture


def depth_table(metadata: Mapping[str, str]) -> Float[np.ndarray, " code"]:
    """The depth in metres of each 16-bit code of a "depth" video, by the bounds in its metadata; float32.

    Code 65535 is nothing (inf); below, depth grows by the same share with every code (0.02 %), from near to far.

    Raises:
        FileFormatError: the video says nothing of its bounds.
    """
    tags = {key.upper(): value for key, value in metadata.items()}
    try:
        near, far = float(tags["DEPTH_NEAR_M"]), float(tags["DEPTH_FAR_M"])
    except (KeyError, ValueError) as error:
        raise FileFormatError(
            "This grey video does not say which depths it holds (DEPTH_NEAR_M, DEPTH_FAR_M)."
        ) from error
    depth = near * (far / near) ** (np.arange(65536) / 65534)
    depth[65535] = np.inf
    return depth.astype(np.float32)


def _codes_from_depth(depth_m: np.ndarray) -> np.ndarray:
    if depth_m.dtype.kind != "f" or np.isnan(depth_m).any() or (depth_m <= 0).any():
        raise ValueError("depth must be positive metres in floating point, inf where there is nothing")
    scale = np.float32(65534 / np.log(_DEPTH_FAR_M / _DEPTH_NEAR_M))
    codes = np.full(depth_m.shape, 65535, np.uint16)
    box = covered_box(np.isfinite(depth_m))
    near = depth_m[box].astype(np.float32)
    levels = np.log(near / np.float32(_DEPTH_NEAR_M)) * scale
    codes[box] = np.where(np.isinf(near), 65535, np.clip(levels + 0.5, 0, 65534)).astype(np.uint16)
    return codes


def _stored_size(width: int, height: int, kind: VideoKind) -> tuple[int, int]:
    """4:2:0, which is all that most players open, stores one colour for 2 × 2 pixels: the sides are made even."""
    return (width + width % 2, height + height % 2) if kind in ("film", "plate") else (width, height)
