"""Small films for tests: numbered pictures, clicks for sound, and what is said of films that cannot be read."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from understudy.io.video.streams import open_shot
from understudy.runtime.errors import FootageError

WIDTH, HEIGHT = 96, 64


def numbered(index: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A picture that says which one it is: eight blocks, black or white, are the bits of its index."""
    bits = [(index >> bit) & 1 for bit in range(8)]
    row = np.repeat(np.array(bits, np.uint8) * 200 + 25, width // 8)
    row = np.pad(row, (0, width - len(row)), mode="edge")
    return np.repeat(np.broadcast_to(row, (height, width))[..., None], 3, -1).copy()


def number_of(frame: np.ndarray) -> int:
    blocks = [
        frame[8:-8, column + 3 : column + 9].mean() > 125
        for column in range(0, frame.shape[1] // 8 * 8, frame.shape[1] // 8)
    ]
    return sum(1 << bit for bit, on in enumerate(blocks[:8]) if on)


def write_h264(
    path: Path,
    frames: list[np.ndarray],
    times: list[int] | None = None,
    time_base: Fraction = Fraction(1, 24),
    pixels: str = "yuv420p",
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    aspect: Fraction | None = None,
    rotation: int = 0,
    tags: dict[str, int] | None = None,
    container_options: dict[str, str] | None = None,
    matrix: Colorspace = Colorspace.ITU601,
    full_range: bool = False,
) -> None:
    with av.open(str(path), "w", options=container_options or {}) as out:
        stream = out.add_stream(codec, rate=1 / time_base, options=options or {"bf": "3", "g": "12", "crf": "12"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.time_base = pixels, time_base
        stream.codec_context.time_base = time_base
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for name, value in (tags or {}).items():
            setattr(stream.codec_context, name, value)
        for index, pixels_rgb in enumerate(frames):
            frame = VideoFrame.from_ndarray(pixels_rgb, "rgb24").reformat(
                format=pixels, dst_colorspace=matrix, dst_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG
            )
            frame.pts, frame.time_base = (times[index] if times else index), time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def write_clicks(out, stream, seconds: float, rate: int) -> None:
    """A click (0.05 s of tone) at every half second."""
    t = np.arange(int(seconds * rate)) / rate
    wave = 0.5 * np.sin(2 * np.pi * 1000 * t) * ((t % 0.5) < 0.05)
    samples = (wave * 32767).astype(np.int16)
    for start in range(0, len(wave) - 1024, 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def film_with_sound(path: Path, codec: str, title: str = "clicks", rate: int = 48_000) -> None:
    with av.open(str(path), "w") as out:
        out.metadata["title"] = title
        picture = out.add_stream("libx264", rate=24, options={"g": "12"})
        sound = out.add_stream(codec, rate=rate, layout="mono")
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(72):
            frame = VideoFrame.from_ndarray(numbered(i), "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 24)
            out.mux(picture.encode(frame))
        out.mux(picture.encode(None))
        write_clicks(out, sound, 3.0, rate)


def clicks_s(path: Path) -> list[float]:
    """When the clicks in a film are heard, by its own clock."""
    with av.open(str(path)) as source:
        heard = []
        for frame in source.decode(audio=0):
            wave = np.atleast_2d(frame.to_ndarray())[0].astype(float)
            t = float(frame.pts * frame.time_base) + np.arange(len(wave)) / frame.sample_rate
            heard.append(np.stack([t, np.abs(wave) / (1.0 if wave.max(initial=0) <= 1.5 else 32768.0)]))
        t, level = np.concatenate(heard, 1)
    loud = t[level > 0.2]
    return [float(loud[0]), *loud[1:][np.diff(loud) > 0.2].tolist()]


def refused(path: Path, *words: str, **times: float) -> None:
    with pytest.raises(FootageError) as caught:
        open_shot(path, **times)
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words), text
