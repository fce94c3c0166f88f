"""The finished film: new pictures on the shot's own time line, with its sound."""

import logging
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from understudy.core.footage import Shot
from understudy.io.decoding import decoded, open_film, packets, sound_track
from understudy.io.encoding import add_film_stream, film_frame, open_output

__all__ = ["Sound", "write_film"]

Sound = Literal["none", "copied", "encoded"]
"""What became of the sound: there was none, its packets were copied, or it was encoded anew as AAC."""

log = logging.getLogger(__name__)


def write_film(path: Path, shot: Shot, frames: Iterable[np.ndarray]) -> Sound:
    """Write pictures as an H.264 film with the shot's timestamps, rate and sound; says what became of the sound.

    One picture for each frame of the shot. An odd width or height is made even by repeating its last column or row.
    The sound's packets are copied, from the one that plays when the shot begins to the one that plays when it ends;
    if players of this file format do not expect its codec, it is encoded as AAC. The file appears only when whole.

    Raises:
        FootageError: the shot's file can no longer be read.
        ValueError: there are more or fewer pictures than frames in the shot, or a picture has another size.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        with open_output(temporary) as output:
            if shot.has_audio:
                with open_film(shot.path) as source:
                    outcome = _write(output, shot, frames, source)
            else:
                outcome = _write(output, shot, frames, None)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return outcome


def _write(output: OutputContainer, shot: Shot, frames: Iterable[np.ndarray], source: InputContainer | None) -> Sound:
    times = shot.timestamps - shot.timestamps[0]
    durations = np.append(np.diff(times), max(1, round(1 / (shot.frame_rate * shot.time_base))))
    stream = add_film_stream(output, shot.width, shot.height, shot.frame_rate, "film", shot.time_base)
    outcome, sound = _sound(output, shot, source)
    waiting, count = next(sound, None), 0
    for frame in frames:
        if count == len(shot):
            raise ValueError(f"more pictures than the {len(shot)} frames of the shot")
        picture = film_frame(frame, shot.width, shot.height, "film")
        picture.pts, picture.duration, picture.time_base = int(times[count]), int(durations[count]), shot.time_base
        output.mux(stream.encode(picture))
        # Sound goes in beside the pictures: a muxer that waits for one of the two keeps the other in memory.
        while waiting is not None and waiting.pts * waiting.time_base <= times[count] * shot.time_base:
            output.mux(waiting)
            waiting = next(sound, None)
        count += 1
    if count != len(shot):
        raise ValueError(f"{count} pictures for the {len(shot)} frames of the shot")
    output.mux(stream.encode(None))
    while waiting is not None:
        output.mux(waiting)
        waiting = next(sound, None)
    return outcome


def _sound(output: OutputContainer, shot: Shot, source: InputContainer | None) -> tuple[Sound, Iterator[Packet]]:
    """What becomes of the source's first sound track, and its packets on the shot's time line."""
    track = None if source is None else sound_track(source)
    if source is None or track is None:
        return "none", iter(())
    start_s = int(shot.timestamps[0]) * shot.time_base
    end_s = start_s + (int(shot.timestamps[-1]) - int(shot.timestamps[0])) * shot.time_base + 1 / shot.frame_rate
    if shot.start_frame > 0:
        source.seek(int((start_s - 1) * av.time_base))
    codec = track.codec_context.name
    # MP4 may hold uncompressed sound, but most players stay silent then.
    if codec in output.supported_codecs and not (codec.startswith("pcm") and output.format.name == "mp4"):
        return "copied", _copied(source, track, output.add_stream_from_template(track), start_s, end_s)
    log.info("The sound (%s) cannot be copied into this kind of file; it is encoded as AAC.", codec)
    rates = av.codec.Codec("aac", "w").audio_rates
    rate = track.codec_context.sample_rate if track.codec_context.sample_rate in rates else 48_000
    encoder = output.add_stream("aac", rate=rate, layout=_layout(track))
    return "encoded", _encoded(source, track, encoder, start_s, end_s)


def _layout(track: AudioStream) -> str:
    """Which speakers a track is for; those usual for so many channels where it does not say (AVI, MKV)."""
    layout = track.codec_context.layout
    # FFmpeg names what it does not know by counting: "2 channels", "ambisonic 1".
    known = layout.nb_channels > 2 and " " not in layout.name
    return layout.name if known else AudioLayout(f"{layout.nb_channels}c").name


def _copied(
    source: InputContainer, track: AudioStream, target: AudioStream, start_s: Fraction, end_s: Fraction
) -> Iterator[Packet]:
    shift = round(start_s / track.time_base)
    for packet in packets(source, track):
        if packet.pts is None or packet.dts is None:
            continue
        time_s = packet.pts * track.time_base
        if time_s >= end_s:
            return
        # One packet more in front lets the decoder settle; its time is negative, so players do not play it.
        if time_s + 2 * (packet.duration or 0) * track.time_base > start_s:
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, target
            yield packet


def _encoded(
    source: InputContainer, track: AudioStream, encoder: AudioStream, start_s: Fraction, end_s: Fraction
) -> Iterator[Packet]:
    for frame in decoded(source, track):
        time_s = frame.pts * frame.time_base
        if time_s >= end_s:
            break
        if time_s + Fraction(frame.samples, frame.sample_rate) > start_s:
            frame.pts -= round(start_s / frame.time_base)
            yield from encoder.encode(frame)
    yield from encoder.encode(None)
