"""The finished film: new pictures on the shot's own time line, with its sound."""

# PyAV has types of packets in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av.codec
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from jaxtyping import Int

from understudy.core.footage import Shot
from understudy.io.temporary import whole_file
from understudy.io.video.decoding import AnyPacket, decoded_packet, open_film, packets, sought, sound_tracks
from understudy.io.video.encoding import VideoKind, add_film_stream, film_frame, open_output

__all__ = ["Sound", "write_film", "write_sound"]

Sound = Literal["none", "copied", "encoded"]
"""What became of the sound: there was none, all tracks' packets were copied, or a track was encoded anew."""

log = logging.getLogger(__name__)

_QUICKTIME_SOUND = ("aac", "alac", "mp3", "ac3", "eac3")
_FINE = 90_000
"""Ticks a second where the shot's own are too many."""
_MAX_TICKS = 2**31 - 1
"""Of one frame's duration in MP4 (ISO/IEC 14496-12, 8.6.1.2)."""


def write_film(path: Path, shot: Shot, frames: Iterable[np.ndarray], kind: VideoKind = "film") -> Sound:
    """Write pictures as a film with the shot's timestamps, rate and sound; says what became of the sound.

    One picture for each frame of the shot, encoded as this kind of stream is.
    All sound tracks are kept, with their languages, titles and flags, such as which one is the default. Their packets
    are copied, from the one that plays when the shot begins to the one that plays when it ends; a codec that players
    of this file format do not expect is encoded: as AAC, in a .mov as PCM. The file appears only when whole.

    Raises:
        FootageError: the shot's file can no longer be read.
        ValueError: there are more or fewer pictures than frames in the shot, or a picture has another size.
    """
    with ExitStack() as stack:
        output = stack.enter_context(open_output(stack.enter_context(whole_file(path))))
        source = stack.enter_context(open_film(shot.path)) if shot.has_audio else None
        return _write(output, shot, frames, source, kind)


def write_sound(path: Path, shot: Shot) -> Sound:
    """Write a shot's sound alone, as `write_film` does; nothing where there is none.

    Raises:
        FootageError: the shot's file can no longer be read.
    """
    if not shot.has_audio:
        return "none"
    with whole_file(path) as temporary, open_output(temporary) as output, open_film(shot.path) as source:
        outcome, sound = _sound(output, shot, source)
        for packet in sound:
            _mux_sound(output, packet)
        return outcome


def _write(
    output: OutputContainer,
    shot: Shot,
    frames: Iterable[np.ndarray],
    source: InputContainer | None,
    kind: VideoKind,
) -> Sound:
    times, time_base = _timeline(shot)
    durations = np.append(np.diff(times), max(1, round(1 / (shot.frame_rate * time_base))))
    stream = add_film_stream(output, shot.width, shot.height, shot.frame_rate, kind, time_base)
    outcome, sound = _sound(output, shot, source)
    waiting, count = next(sound, None), 0
    for frame in frames:
        if count == len(shot):
            raise ValueError(f"more pictures than the {len(shot)} frames of the shot")
        picture = film_frame(frame, shot.width, shot.height, kind)
        picture.pts, picture.duration, picture.time_base = int(times[count]), int(durations[count]), time_base
        output.mux(stream.encode(picture))
        # Sound goes in beside the pictures: a muxer that waits for one of the two keeps the other in memory.
        while waiting is not None and (waiting.pts or 0) * (waiting.time_base or 0) <= times[count] * time_base:
            _mux_sound(output, waiting)
            waiting = next(sound, None)
        count += 1
    if count != len(shot):
        raise ValueError(f"{count} pictures for the {len(shot)} frames of the shot")
    output.mux(stream.encode(None))
    while waiting is not None:
        _mux_sound(output, waiting)
        waiting = next(sound, None)
    return outcome


def _mux_sound(output: OutputContainer, packet: AnyPacket) -> None:
    """Add a packet of sound, or leave it out where it is too damaged for a file of this format."""
    try:
        output.mux(packet)
    except (av.error.ArgumentError, av.error.InvalidDataError) as error:
        log.debug("A packet of sound is left out: %s", error)


def _timeline(shot: Shot) -> tuple[Int[np.ndarray, " frame"], Fraction]:
    """When each frame is shown, from 0, and in which unit: the shot's own, or one that a film's file can hold."""
    times, time_base = shot.timestamps - shot.timestamps[0], shot.time_base
    if time_base.denominator <= _MAX_TICKS and np.diff(times).max(initial=0) <= _MAX_TICKS:
        return times, time_base
    return np.array([round(int(time) * time_base * _FINE) for time in times]), Fraction(1, _FINE)


class _Copied:
    """A sound track of which the packets are kept."""

    def __init__(self, track: AudioStream, output: OutputContainer, start_s: Fraction, end_s: Fraction) -> None:
        self.target = output.add_stream_from_template(track)
        self._start_s, self._end_s, self._time_base = start_s, end_s, track.time_base or Fraction(1)
        self.ended = False
        self._last: int | None = None

    def __call__(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        if packet.pts is None or packet.dts is None or (self._last is not None and packet.dts <= self._last):
            return
        time_s = packet.pts * self._time_base
        self.ended = time_s >= self._end_s
        # One packet more in front lets the decoder settle; its time is negative, so players do not play it.
        if not self.ended and time_s + 2 * (packet.duration or 0) * self._time_base > self._start_s:
            self._last = packet.dts
            shift = round(self._start_s / self._time_base)
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, self.target
            yield packet

    def rest(self) -> Iterable[AnyPacket]:
        return ()


class _Encoded:
    """A sound track that is encoded: as AAC, in a .mov as PCM."""

    def __init__(self, track: AudioStream, output: OutputContainer, start_s: Fraction, end_s: Fraction) -> None:
        codec = track.codec_context
        name = "pcm_s24le" if output.format.name == "mov" else "aac"
        log.info("A sound track (%s) cannot be copied into this kind of file; it is encoded as %s.", codec.name, name)
        rates = av.codec.Codec(name, "w").audio_rates
        rate = codec.sample_rate if rates is None or codec.sample_rate in rates else 48_000
        self.target = output.add_stream(name, rate=rate, layout=_layout(track))
        self._start_s, self._end_s = start_s, end_s
        self.ended = False

    def __call__(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        for frame in decoded_packet(packet):
            if not isinstance(frame, AudioFrame) or frame.pts is None or not frame.time_base or frame.sample_rate <= 0:
                continue
            time_s = frame.pts * frame.time_base
            self.ended = time_s >= self._end_s
            if not self.ended and time_s + Fraction(frame.samples, frame.sample_rate) > self._start_s:
                frame.pts -= round(self._start_s / frame.time_base)
                yield from self.target.encode(frame)

    def rest(self) -> Iterable[AnyPacket]:
        return self.target.encode(None)


def _sound(output: OutputContainer, shot: Shot, source: InputContainer | None) -> tuple[Sound, Iterator[AnyPacket]]:
    """What becomes of the source's sound tracks, and their packets on the shot's time line."""
    tracks = [] if source is None else sound_tracks(source)
    if source is None or not tracks:
        return "none", iter(())
    start_s = int(shot.timestamps[0]) * shot.time_base
    end_s = start_s + (int(shot.timestamps[-1]) - int(shot.timestamps[0])) * shot.time_base + 1 / shot.frame_rate
    if shot.start_frame > 0:
        sought(source, int((start_s - 1) * av.time_base))
    kept: dict[int, _Copied | _Encoded] = {}
    for track in tracks:
        copies = _is_heard(track.codec_context.name, output)
        kept[track.index] = (_Copied if copies else _Encoded)(track, output, start_s, end_s)
        _describe(kept[track.index].target, track)
    outcome = "encoded" if any(isinstance(track, _Encoded) for track in kept.values()) else "copied"
    return outcome, _sound_packets(source, tracks, kept)


def _is_heard(codec: str, output: OutputContainer) -> bool:
    """Whether programs that open this kind of file play sound in a codec; what a muxer says it takes is more."""
    if output.format.name == "mp4" and codec.startswith("pcm"):
        return False
    if output.format.name == "mov" and not codec.startswith(("pcm", *_QUICKTIME_SOUND)):
        return False
    return codec in output.supported_codecs


def _sound_packets(
    source: InputContainer, tracks: list[AudioStream], kept: dict[int, _Copied | _Encoded]
) -> Iterator[AnyPacket]:
    for packet in packets(source, *tracks):
        track = kept[packet.stream.index]
        if not track.ended:
            yield from track(packet)
        elif all(other.ended for other in kept.values()):
            break
    for track in kept.values():
        yield from track.rest()


def _describe(target: AudioStream, track: AudioStream) -> None:
    """Give a track what players show of it and choose it by."""
    target.disposition = track.disposition
    title = track.metadata.get("title", track.metadata.get("name", ""))  # MP4 calls it a name.
    kept = {key: track.metadata[key] for key in ("language", "handler_name") if key in track.metadata}
    target.metadata.update(kept | ({"title": title} if title else {}))


def _layout(track: AudioStream) -> str:
    """Which speakers a track is for; those usual for so many channels where it does not say (AVI, MKV)."""
    layout = track.codec_context.layout
    # FFmpeg names what it does not know by counting: "2 channels", "ambisonic 1".
    known = layout.nb_channels > 2 and " " not in layout.name
    return layout.name if known else AudioLayout(f"{layout.nb_channels}c").name
