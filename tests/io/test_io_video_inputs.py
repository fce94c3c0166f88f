"""Films as phones, editors and strangers make them: trimmed clips, several sound tracks, odd claims, and no films."""

import io
import os
import socket
import struct
import time
from fractions import Fraction
from pathlib import Path
from unittest.mock import Mock

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.video.frame import VideoFrame
from made_films import clicks_s, film_with_sound, number_of, numbered, refused, write_h264
from PIL import Image

from understudy.io.video import decoding, film
from understudy.io.video import streams as video
from understudy.io.video.decoding import sought
from understudy.io.video.frame_rates import frame_rate_from_decimal
from understudy.io.video.streams import VideoWriter, open_shot, read_frames, write_film
from understudy.runtime.errors import FootageError


def trim(path: Path, start_s: Fraction, duration_s: Fraction) -> None:
    """Let the one entry of each track's edit list show a part only, as editors trim a clip without encoding it."""
    data = bytearray(path.read_bytes())
    movie_scale = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)[0]
    place = 0
    while (place := data.find(b"elst", place + 1)) > 0:
        media_scale = struct.unpack_from(">I", data, data.index(b"mdhd", place) + 16)[0]
        duration, first = round(duration_s * movie_scale), struct.unpack_from(">i", data, place + 16)[0]
        struct.pack_into(">Ii", data, place + 12, duration, first + round(start_s * media_scale))
    path.write_bytes(data)


@pytest.mark.parametrize(("first", "count"), [(0, 20), (7, 24), (30, 42)])
@pytest.mark.parametrize(
    ("name", "codec", "outcome"), [("trimmed.mp4", "aac", "copied"), ("trimmed.mov", "pcm_s16le", "encoded")]
)
def test_a_trimmed_clip_is_whole_and_in_sync(tmp_path, caplog, name, codec, outcome, first, count):
    path = tmp_path / name
    film_with_sound(path, codec)
    trim(path, Fraction(first, 24), Fraction(count, 24))
    shot = open_shot(path)
    assert not caplog.records
    assert len(shot) == count and shot.frame_rate == 24
    assert [number_of(frame) for frame in read_frames(shot)] == list(range(first, first + count))
    assert [number_of(frame) for frame in read_frames(shot, [1, 18])] == [first + 1, first + 18]
    assert write_film(tmp_path / "new.mp4", shot, read_frames(shot)) == outcome
    expected = [t for t in np.arange(0, 3, 0.5) - first / 24 if -0.01 < t < count / 24 - 0.01]
    heard = [t for t in clicks_s(tmp_path / "new.mp4") if -0.01 < t < count / 24 - 0.01]
    assert heard == pytest.approx(expected, abs=0.002)
    assert len(open_shot(path, 0.25, 0.75)) == 12
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(FootageError):  # Its index was at the end.
        open_shot(path)


def film_with_tones(path: Path, codecs: list[str], default: int) -> None:
    """Three seconds; each sound track is a tone of its own: 440 Hz, 880 Hz …"""
    with av.open(str(path), "w") as out:
        picture = out.add_stream("libx264", rate=24, options={"g": "12"})
        picture.width, picture.height, picture.pix_fmt = 96, 64, "yuv420p"
        tracks = [out.add_stream(codec, rate=48_000, layout="mono") for codec in codecs]
        for number, track in enumerate(tracks):
            track.metadata.update({"language": ("eng", "deu", "fra")[number], "title": f"track {number}"})
            track.disposition = av.stream.Disposition.default if number == default else av.stream.Disposition.comment
        for index in range(72):
            frame = VideoFrame.from_ndarray(numbered(index), "rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 24)
            out.mux(picture.encode(frame))
            for number, track in enumerate(tracks):
                time_s = (np.arange(2000) + 2000 * index) / 48_000
                wave = np.sin(2 * np.pi * 440 * (number + 1) * time_s) * 20_000
                sound = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], "s16", "mono")
                sound.sample_rate, sound.pts, sound.time_base = 48_000, 2000 * index, Fraction(1, 48_000)
                out.mux(track.encode(sound))
        for stream in (picture, *tracks):
            out.mux(stream.encode(None))


def tones_hz(path: Path) -> list[int]:
    found = []
    with av.open(str(path)) as source:
        tracks = len(source.streams.audio)
    for number in range(tracks):
        with av.open(str(path)) as source:
            wave = np.concatenate([np.atleast_2d(frame.to_ndarray())[0] for frame in source.decode(audio=number)])
        spectrum = np.abs(np.fft.rfft(wave[8000:40000]))
        found.append(round(int(spectrum.argmax()) * 48_000 / 32_000))
    return found


@pytest.mark.parametrize(
    ("source", "codecs", "outcome"),
    [
        ("source.mp4", ["aac", "aac"], "copied"),
        ("source.mkv", ["aac", "pcm_s16le", "aac"], "encoded"),
        ("source.mov", ["pcm_s16le", "aac"], "encoded"),
    ],
)
def test_all_sound_tracks_stay_with_their_names_and_the_default_one(tmp_path, source, codecs, outcome):
    film_with_tones(tmp_path / source, codecs, default=1)
    for start_s in (None, 1.0):
        shot = open_shot(tmp_path / source, start_s)
        assert write_film(tmp_path / "new.mp4", shot, read_frames(shot)) == outcome
        with av.open(str(tmp_path / "new.mp4")) as new, av.open(str(tmp_path / source)) as old:
            tracks, before = new.streams.audio, old.streams.audio
            # QuickTime's format holds neither all languages nor all flags.
            assert [track.disposition for track in tracks] == [track.disposition for track in before]
            assert [track.language for track in tracks] == [track.language or "und" for track in before]
            assert [int(track.disposition) & 1 for track in tracks] == [n == 1 for n in range(len(codecs))]
            assert tracks[0].language == "eng"
            assert [track.metadata["name"] for track in tracks] == [f"track {n}" for n in range(len(codecs))]
            assert all(abs(float(track.duration * track.time_base) - shot.duration_s) < 0.05 for track in tracks)
        assert tones_hz(tmp_path / "new.mp4") == [440 * (number + 1) for number in range(len(codecs))]


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(720, 718), (96, 64)), (Fraction(97, 100), (96, 66))])
def test_nearly_square_pixels_are_square(tmp_path, aspect, size):
    write_h264(tmp_path / "film.mp4", [numbered(5)] * 2, aspect=aspect)
    shot = open_shot(tmp_path / "film.mp4")
    assert (shot.width, shot.height) == size


@pytest.mark.parametrize("size", [(8192, 2), (64, 1040)])
def test_strips_are_no_pictures(tmp_path, size):
    with VideoWriter(tmp_path / "strip.mkv", *size, Fraction(24), "mask") as writer:
        writer.write(np.zeros(size[::-1], np.uint8))
        writer.write(np.zeros(size[::-1], np.uint8))
    refused(tmp_path / "strip.mkv", f"{size[0]}×{size[1]}", "16 times")


@pytest.mark.parametrize("aspect", [Fraction(60), Fraction(1, 60), Fraction(24)])
def test_absurd_pixels_are_refused_at_the_first_frame(tmp_path, aspect):
    write_h264(tmp_path / "film.mp4", [numbered(5)] * 2, aspect=aspect)
    refused(tmp_path / "film.mp4", "square pixels")


def film_of_packets(path: Path, packets: list[bytes]) -> None:
    """A film of JPEG pictures, whatever their sizes; it says that it has 96×64."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        frame = VideoFrame(96, 64, "yuvj420p")
        frame.pts = 0
        (own,) = (*stream.encode(frame), *stream.encode(None))
        for index, content in enumerate(packets):
            packet = av.Packet(content or bytes(own))
            packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, index, index, True
            packet.time_base = Fraction(1, 24)
            out.mux(packet)


@pytest.mark.linux
def test_a_frame_larger_than_its_film_is_not_decoded(tmp_path):
    resource = pytest.importorskip("resource")
    cv2 = pytest.importorskip("cv2")
    huge = cv2.imencode(".jpg", np.zeros((9000, 9000), np.uint8))[1].tobytes()
    for name, packets in (("first.mkv", [huge, huge]), ("later.mkv", [b"", b"", huge, b"", huge])):
        film_of_packets(tmp_path / name, packets)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if name == "first.mkv":
            refused(tmp_path / name, "million")
        else:
            assert len(open_shot(tmp_path / name)) == 3
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KiB; 9000×9000 take 79,000.


def test_of_two_pictures_the_default_one_is_the_film(tmp_path):
    with av.open(str(tmp_path / "two.mkv"), "w") as out:
        streams = [out.add_stream("libx264", rate=24) for _ in range(2)]
        for stream, flag in zip(streams, (0, av.stream.Disposition.default), strict=True):
            stream.width, stream.height, stream.pix_fmt, stream.disposition = 96, 64, "yuv420p", flag
        for index in range(6):
            for number, stream in enumerate(streams):
                frame = VideoFrame.from_ndarray(numbered(index + 100 * number), "rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, 24)
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode(None))
    shot = open_shot(tmp_path / "two.mkv")
    assert [number_of(frame) for frame in read_frames(shot)] == list(range(100, 106))


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_photographs_in_a_film_may_say_how_they_lie(tmp_path, orientation, turns):
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :48], picture[:32, 48:], picture[32:, :48] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    exif, data = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(picture).save(data, "JPEG", quality=95, exif=exif)
    film_of_packets(tmp_path / "film.mkv", [data.getvalue()] * 3)
    shot = open_shot(tmp_path / "film.mkv")
    wanted = np.rot90(picture, turns)
    assert (shot.height, shot.width) == wanted.shape[:2]
    assert np.abs(next(read_frames(shot)).astype(int) - wanted).mean() < 12


@pytest.mark.linux
def test_an_index_of_millions_in_a_small_file_takes_no_memory(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "film.mov"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("rawvideo", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "rgb24"
        for index in range(4):
            frame = VideoFrame.from_ndarray(numbered(index), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 24)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert len(open_shot(path)) == 4
    data, claimed = bytearray(path.read_bytes()), 60_000_000
    struct.pack_into(">II", data, data.index(b"stsz") + 8, 1, claimed)
    struct.pack_into(">I", data, data.index(b"stsc") + 16, claimed)
    struct.pack_into(">I", data, data.index(b"stts") + 12, claimed)
    path.write_bytes(data)
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    refused(path, "its index counts 60000000")
    # What no such count gives away, FFmpeg refuses: it may not take one block for them all.
    with pytest.raises((av.error.FFmpegError, StopIteration)), av.open(str(path)) as container:
        next(container.decode(video=0))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000 and time.perf_counter() - begin < 5


def test_a_packet_that_claims_a_gigabyte_is_the_files_fault_and_no_memory_is_not(tmp_path, monkeypatch):
    path = tmp_path / "film.avi"
    film_with_sound(path, "pcm_s16le")
    data = bytearray(path.read_bytes())
    place = -1
    for _ in range(20):
        place = data.index(b"00dc", place + 1)
    struct.pack_into("<I", data, place + 4, 0x40000000)
    path.write_bytes(data)
    for times in ((), (0.1,), (0.1, 0.5)):
        shot = open_shot(path, *times)
        assert 2 <= len(shot) < 72 and len(list(read_frames(shot))) == len(shot)
    error = av.error.MemoryError(12, "no memory")
    container = Mock(spec=InputContainer)
    container.demux.side_effect = error
    assert list(decoding.packets(container)) == []
    monkeypatch.setattr(decoding, "MAX_BLOCK_BYTES", 1 << 62)
    with pytest.raises(MemoryError):
        list(decoding.packets(container))


def test_a_gap_of_months_is_refused_where_it_is(tmp_path):
    path = tmp_path / "gap.mkv"
    times = [0, 1, 2, 3, *(24 * 86400 * 115 + np.arange(3)).tolist()]
    write_h264(path, [numbered(index) for index in range(7)], times)
    refused(path, "stands still", "after frame 4")
    assert len(open_shot(path, 0.0, 1.0)) == 4
    write_h264(tmp_path / "slow.mkv", [numbered(index) for index in range(3)], [0, 24 * 500, 24 * 1000])
    assert len(open_shot(tmp_path / "slow.mkv")) == 3


def test_a_film_of_a_million_frames_a_second_is_refused(tmp_path):
    write_h264(tmp_path / "fast.nut", [numbered(index) for index in range(4)], time_base=Fraction(1, 10**6))
    refused(tmp_path / "fast.nut", "frames a second")


def test_times_in_nanoseconds_fit_into_a_film(tmp_path):
    times = [0, 10**9, 5 * 10**9]
    write_h264(tmp_path / "fine.nut", [numbered(index) for index in range(3)], times, Fraction(1, 10**9))
    shot = open_shot(tmp_path / "fine.nut")
    write_film(tmp_path / "new.mp4", shot, read_frames(shot))
    new = open_shot(tmp_path / "new.mp4")
    assert [float(at * new.time_base) for at in new.timestamps - new.timestamps[0]] == [0, 1, 5]


@pytest.mark.posix
def test_pipes_sockets_devices_and_impossible_names_are_refused_at_once(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.mp4")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.mp4")
        begin = time.perf_counter()
        for path in (tmp_path / "pipe.mp4", tmp_path / "socket.mp4", Path("/dev/zero")):
            refused(path, "pipe or a device")
    refused(tmp_path / ("x" * 300 + ".mp4"), "too long")
    refused(Path("a\0b.mp4"), "cannot be read")
    assert time.perf_counter() - begin < 1


def test_a_name_that_is_no_unicode_is_a_name(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff\xfe.mp4")
    write_h264(path.with_name("plain.mp4"), [numbered(index) for index in range(3)])
    os.rename(path.with_name("plain.mp4"), path)
    shot = open_shot(path)
    assert len(shot) == 3
    path.write_bytes(b"nothing")
    refused(path, r"\udcff")


def test_sound_out_of_order_stays_out(tmp_path, monkeypatch):
    film_with_sound(tmp_path / "source.mp4", "aac")
    shot = open_shot(tmp_path / "source.mp4", 0.5)
    read = film.packets

    def shaken(container, *streams):
        for index, packet in enumerate(read(container, *streams)):
            if index % 7 == 3 and packet.pts is not None:
                packet.pts, packet.dts = (None, None) if index % 2 else (packet.pts - 9000, packet.dts - 9000)
            if index % 11 == 5 and packet.pts is not None:
                packet.pts, packet.duration = packet.dts - 1, -5  # It would be heard before it is decoded.
            yield packet

    monkeypatch.setattr(film, "packets", shaken)
    for name in ("new.mp4", "new.mkv"):
        assert write_film(tmp_path / name, shot, read_frames(shot)) == "copied"
        assert len(open_shot(tmp_path / name)) == len(shot) and len(clicks_s(tmp_path / name)) > 2


def test_a_film_without_a_way_back_is_read_from_its_start(tmp_path, monkeypatch):
    film_with_sound(tmp_path / "source.mkv", "aac")
    monkeypatch.setattr(video, "sought", lambda *asked: False)
    monkeypatch.setattr(film, "sought", lambda *asked: False)
    shot = open_shot(tmp_path / "source.mkv", 1.0, 2.0)
    assert [number_of(frame) for frame in read_frames(shot)] == list(range(24, 48))
    write_film(tmp_path / "new.mp4", shot, read_frames(shot))
    assert clicks_s(tmp_path / "new.mp4")[:2] == pytest.approx([0, 0.5], abs=0.03)
    container = Mock(spec=InputContainer)
    for error in (av.error.FFmpegError(1, "unknown"), OverflowError()):
        container.seek.side_effect = error
        assert not sought(container, 10**30)


@pytest.mark.shared
def test_real_clips_that_were_trimmed_or_have_two_tracks(shared_data, tmp_path, caplog):
    shot = open_shot(shared_data / "faults" / "trimmed_edit_list.mp4")
    assert len(shot) == 12 and "damaged" not in caplog.text
    shot = open_shot(shared_data / "faults" / "two_audio_tracks.mp4")
    write_film(tmp_path / "new.mp4", shot, read_frames(shot))
    assert tones_hz(tmp_path / "new.mp4")[1] == pytest.approx(880, abs=5)
    with av.open(str(tmp_path / "new.mp4")) as new:
        assert [int(track.disposition) & 1 for track in new.streams.audio] == [0, 1]


@pytest.mark.parametrize(
    ("decimal", "rate"),
    [(23.976, "24000/1001"), (23.98, "24000/1001"), (24.0, "24"), (29.97, "30000/1001"), (30.0, "30"), (12.5, "25/2")],
)
def test_a_decimal_means_an_ntsc_rate_only_where_it_is_one(decimal, rate):
    assert frame_rate_from_decimal(decimal) == Fraction(rate)
