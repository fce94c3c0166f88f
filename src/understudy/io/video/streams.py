"""Films and image streams: opening, reading, writing. Frames are streamed; none is kept."""

import logging
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Int, UInt8

from understudy.core.footage import Shot
from understudy.io.video.decoding import (
    check_colours,
    check_size,
    decoded,
    film,
    packets,
    picture,
    promised_frames,
    shown_size,
    sought,
    sound_tracks,
)
from understudy.io.video.deinterlacing import deinterlaced
from understudy.io.video.encoding import VideoKind, VideoWriter, depth_table
from understudy.io.video.film import Sound, write_film, write_sound
from understudy.io.video.frame_rates import check_pace
from understudy.io.video.sequences import find_pictures, open_sequence, sequence_frames
from understudy.runtime.errors import FootageError, quoted

__all__ = ["Sound", "VideoKind", "VideoWriter", "open_shot", "read_frames", "read_video", "write_film", "write_sound"]

log = logging.getLogger(__name__)

_TYPING_TOLERANCE_S = Fraction(1, 2000)
_NEAR_IN_A_SHOT = 120
"""So many frames are decoded sooner than a file is opened again at its nearest key frame: films have few of those."""
_NEAR_IN_OURS = 15
"""The same of what a VideoWriter wrote."""
_COMMON_RATES = tuple(
    Fraction(rate) for rate in (24, 25, 30, 48, 50, 60, 100, 120, "24000/1001", "30000/1001", "60000/1001", 12, 15)
)


def open_shot(
    path: Path,
    start_s: float | None = None,
    end_s: float | None = None,
    frame_rate: Fraction | None = None,
    colour_space: str | None = None,
) -> Shot:
    """The frames of a film file or an image sequence between two times, counted from its first frame; `end_s` is
    excluded. What means a sequence: `find_pictures`; frame rate and `ColourSpace` are for those only.

    The range is decoded once, so that what the container says is never believed: frames that do not decode are not in
    the shot. A file that was cut off gives the frames that are left, and a warning in the log.
    Timestamps are the file's own. Where it has none (raw streams, old AVI), frames are equally spaced.

    Raises:
        FootageError: the file cannot be read, or the range holds fewer than two frames.
        PictureError: a picture of a sequence cannot be read.
    """
    for name, value in (("start", start_s), ("end", end_s)):
        if value is not None and not 0 <= value < float("inf"):
            raise FootageError(f"The {name} of the shot is {value} s; give seconds from the start of the film.")
    if start_s is not None and end_s is not None and end_s <= start_s:
        raise FootageError(f"The shot would end at {end_s} s, before its start at {start_s} s.")
    pictures = find_pictures(path)
    if pictures is not None:
        return open_sequence(path, pictures, start_s, end_s, frame_rate, colour_space)
    if frame_rate is not None or colour_space is not None:
        given = "frame rate" if frame_rate is not None else "colour space"
        raise FootageError(f"{quoted(path)} is a film, which says its own {given}; leave that option out.")
    with film(path) as (container, stream):
        time_base, pixel_aspect = Fraction(stream.time_base or 1), stream.sample_aspect_ratio
        promised, rates = (
            promised_frames(container, stream),
            [stream.guessed_rate, stream.average_rate, stream.base_rate],
        )
        has_audio = bool(sound_tracks(container))
        shown_at = _packet_times(container, stream, end_s) if start_s or end_s is not None else None
    rates = [Fraction(rate) for rate in rates if rate]
    first, end = _range(path, shown_at, start_s or 0.0, end_s, time_base)
    start = int(shown_at[first]) if shown_at is not None and first else None
    times, size = _decoded_times(path, start, end, pixel_aspect)
    has_timestamps = bool((np.diff(times) > 0).all())
    if not has_timestamps:
        rate = rates[0] if rates else Fraction(25)
        first, stop = round((start_s or 0) * rate), None if end_s is None else round(end_s * rate)
        times, size = _decoded_times(path, None, None, pixel_aspect)
        times, time_base = np.arange(len(times), dtype=np.int64)[first:stop], 1 / rate
    if len(times) < 2:
        ranged = "" if start_s is None and end_s is None else f" between {start_s or 0} s and {end_s or 'its end'}"
        raise FootageError(
            f"{quoted(path)} holds {len(times)} frame{'s' * (len(times) != 1)}{ranged}; a shot needs at least two."
        )
    if start_s is None and end_s is None and len(times) < promised:
        log.warning("%s is damaged or cut off: %d of its %d frames decode.", path, len(times), promised)
    check_pace(path, times, time_base)
    return Shot(
        path=path,
        width=size[0],
        height=size[1],
        frame_rate=_frame_rate(times, time_base, rates),
        timestamps=times,
        time_base=time_base,
        start_frame=first,
        has_audio=has_audio,
        has_timestamps=has_timestamps,
    )


def read_frames(
    shot: Shot, frames: Sequence[int] | None = None, max_side_px: int | None = None
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Frames of a shot, as shown, 8-bit sRGB: all, or those whose numbers are given, rising.

    With `max_side_px` they come scaled down so that no side is longer.

    Raises:
        FootageError: the file no longer holds the frames that it held when the shot was opened.
    """
    wanted = range(len(shot)) if frames is None else frames
    width, height = _within(max_side_px, shot.width, shot.height)
    if shot.pictures:
        _check_rising(wanted)
        yield from sequence_frames(shot, wanted, width, height)
        return
    done = 0
    for frame in _chosen(partial(_frames_of, shot), wanted, _NEAR_IN_A_SHOT):
        yield picture(frame, width, height)
        done += 1
    if done < len(wanted):
        raise FootageError(
            f"{quoted(shot.path)} ends before frame {wanted[done]} of the {len(shot)} that it had: it was changed"
            " meanwhile."
        )


def _within(max_side_px: int | None, width: int, height: int) -> tuple[int, int]:
    """The size of a picture that is scaled down so that no side is longer."""
    scale = min(1.0, (max_side_px or max(width, height)) / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def read_video(path: Path, frames: Sequence[int] | None = None, max_side_px: int | None = None) -> Iterator[np.ndarray]:
    """What a VideoWriter wrote, frame by frame: all, or those whose numbers are given, rising. Bytes H × W × 3 (film,
    plate, lossless), H × W × 4 (lossless_alpha), H × W (mask), or float32 metres H × W, inf for nothing (depth).

    With `max_side_px` colour pictures come scaled down so that no side is longer.

    Raises:
        FootageError: the file cannot be read, or ends before a frame that is wanted.
    """
    metres = times = None
    if frames is not None:
        # Where the rate varies, only the packets tell when a frame is shown.
        with film(path) as (container, stream):
            times = _packet_times(container, stream, None)

    def frames_from(number: int) -> Iterator[VideoFrame]:
        if not number or times is None:
            return _frames_from(path, None)
        return _frames_from(path, int(times[number])) if number < len(times) else iter(())

    done = 0
    for frame in frames_from(0) if frames is None else _chosen(frames_from, frames, _NEAR_IN_OURS):
        if frame.format.name == "gray16le":
            if metres is None:
                with film(path) as (container, _):
                    metres = depth_table(container.metadata)
            yield metres[frame.to_ndarray().astype(np.uint16, copy=False)]
        elif frame.format.name == "gray":
            yield frame.to_ndarray()
        elif frame.format.name == "bgra":
            yield frame.to_ndarray(format="rgba")
        else:
            yield picture(frame, *_within(max_side_px, frame.width, frame.height))
        done += 1
    if frames is not None and done < len(frames):
        raise FootageError(f"{quoted(path)} ends before its frame {frames[done]}, which was expected.")


def _chosen(
    frames_from: Callable[[int], Iterator[VideoFrame]], wanted: Sequence[int], near: int
) -> Iterator[VideoFrame]:
    """The wanted frames, as far as there are any. Between near ones it decodes all, to others it seeks."""
    numbers = _check_rising(wanted)
    for stretch in np.split(numbers, np.flatnonzero(np.diff(numbers) > near) + 1):
        if not len(stretch):
            return
        chosen = set(stretch.tolist())
        for number, frame in enumerate(frames_from(int(stretch[0])), int(stretch[0])):
            if number in chosen:
                yield frame
            if number == stretch[-1]:
                break
        else:
            return


def _check_rising(wanted: Sequence[int]) -> Int[np.ndarray, " frame"]:
    numbers = np.asarray(wanted, int)
    if (numbers < 0).any() or (np.diff(numbers) <= 0).any():
        raise ValueError(f"frames are numbered from 0 and given in rising order; got {wanted}")
    return numbers


def _packet_times(container: InputContainer, stream: VideoStream, end_s: float | None) -> Int[np.ndarray, " packet"]:
    """When the packets say that their frames are shown, sorted, up to the range's end; nothing is decoded."""
    times: list[int] = []
    time_base = stream.time_base or 1
    for packet in packets(container, stream):
        if packet.pts is not None and not packet.is_discard:
            times.append(packet.pts)
            # Packets come in decoding order: a frame is never shown before it is decoded.
            if end_s is not None and packet.dts is not None and (packet.dts - times[0]) * time_base > end_s + 1:
                break
    return np.unique(np.array(times, np.int64))


def _range(
    path: Path, shown_at: Int[np.ndarray, " packet"] | None, start_s: float, end_s: float | None, time_base: Fraction
) -> tuple[int, int | None]:
    """The index of a range's first frame, and the timestamp where it ends."""
    if shown_at is None or not len(shown_at):
        return 0, None
    origin = int(shown_at[0])
    first = int(np.searchsorted(shown_at, float(origin + (Fraction(start_s) - _TYPING_TOLERANCE_S) / time_base)))
    if first == len(shown_at):
        last_s = float((int(shown_at[-1]) - origin) * time_base)
        raise FootageError(
            f"The shot would start at {start_s} s, but the last frame of {quoted(path)} is at {last_s:.2f} s."
        )
    return first, None if end_s is None else origin + int((Fraction(end_s) - _TYPING_TOLERANCE_S) / time_base)


def _decoded_times(
    path: Path, first_pts: int | None, end_pts: int | None, pixel_aspect: Fraction | None
) -> tuple[Int[np.ndarray, " frame"], tuple[int, int]]:
    """The timestamps of the frames that really decode (all −1 where they have none), and the size they are shown in.

    Raises FootageError at the first frame if its size or its colours cannot be worked with.
    """
    times: list[int] = []
    size, interlaced = (2, 2), False
    for frame in _frames_from(path, first_pts, as_stored=True):
        interlaced = interlaced or bool(frame.interlaced_frame)
        if not times:
            size = shown_size(frame, pixel_aspect)
            check_size(path, *size)
            check_colours(path, frame)
        if end_pts is not None and frame.pts is not None and frame.pts > end_pts:
            break
        times.append(-1 if frame.pts is None else frame.pts)
    if interlaced:
        log.info("%s is interlaced: each of its frames is made whole from its first field.", path)
    return np.array(times, np.int64), size


def _frames_of(shot: Shot, start: int) -> Iterator[VideoFrame]:
    """The shot's decoded frames from index `start` on."""
    if not shot.has_timestamps:
        yield from islice(_frames_from(shot.path, None), shot.start_frame + start, None)
        return
    index = start
    first = None if shot.start_frame + start == 0 else int(shot.timestamps[start])
    for frame in _frames_from(shot.path, first):
        if frame.pts == shot.timestamps[index]:
            yield frame
            index += 1
            if index == len(shot):
                return


def _frames_from(path: Path, pts: int | None, as_stored: bool = False) -> Iterator[VideoFrame]:
    """Decoded frames from timestamp `pts` on (None: from the file's start), deinterlaced unless `as_stored`.

    A seek may land too late, or on a key frame whose neighbours need pictures from before it. So frames count only
    once a key frame at or before the wanted one has been seen; otherwise the seek is repeated from further back.
    """
    whole = iter if as_stored else deinterlaced
    for back_s in (0, 2, 10):
        if pts is None:
            break
        with film(path) as (container, stream):
            if not sought(container, pts - int(back_s / (stream.time_base or 1)), stream):
                continue
            found = False
            for frame in whole(_anchored(decoded(container, stream), pts, as_stored)):
                found = True
                if frame.pts is not None and frame.pts >= pts:
                    yield frame
            if found:
                return
    with film(path) as (container, stream):
        frame = None
        for frame in whole(decoded(container, stream)):
            if pts is None or (frame.pts is not None and frame.pts >= pts):
                yield frame
        if frame is None:
            raise FootageError(
                f"{quoted(path)} cannot be read: none of its frames can be decoded; export it again, as MP4."
            )


def _anchored(frames: Iterator[VideoFrame], pts: int, as_stored: bool) -> Iterator[VideoFrame]:
    """The frames from a key frame at or before `pts` on; none if the first one comes later.

    To deinterlace a frame takes the one before it, so a key frame that is wanted itself is no start then.
    """
    anchored = False
    for frame in frames:
        if frame.pts is None or (not anchored and frame.pts > pts):
            return
        alone = frame.pts == pts and frame.interlaced_frame and not as_stored
        anchored = anchored or (bool(frame.key_frame) and not alone)
        if anchored:
            yield frame


def _frame_rate(times: Int[np.ndarray, " frame"], time_base: Fraction, named: list[Fraction]) -> Fraction:
    """The rate that explains every timestamp within its rounding; for a variable rate, the average."""
    index = np.arange(len(times))
    for rate in (*named, *_COMMON_RATES):
        ticks = float(1 / (rate * time_base))
        drift = times - times[0] - index * ticks
        if np.ptp(drift) <= 1.0 + 1e-6 * ticks:
            return rate
    return ((len(times) - 1) / (int(times[-1] - times[0]) * time_base)).limit_denominator(1_000_000)
