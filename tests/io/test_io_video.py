"""Films in and out: exact frames and times, colour, and one clear sentence for whatever cannot be read."""

import gc
from fractions import Fraction
from pathlib import Path
from unittest.mock import Mock

import av
import av.error
import numpy as np
import pytest
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from made_films import (
    HEIGHT,
    WIDTH,
    clicks_s,
    film_with_sound,
    number_of,
    numbered,
    refused,
    write_clicks,
    write_h264,
)

from understudy.io.video import decoding
from understudy.io.video import streams as video
from understudy.io.video.decoding import decoded
from understudy.io.video.streams import VideoWriter, open_shot, read_frames, read_video, write_film
from understudy.runtime.errors import FootageError


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    """60 numbered frames with B-frames and a key frame every twelve."""
    path = tmp_path_factory.mktemp("film") / "numbered.mp4"
    write_h264(path, [numbered(i) for i in range(60)], container_options={"movflags": "+faststart"})
    return path


def test_a_film_is_read_whole_and_in_order(film):
    shot = open_shot(film)
    assert (len(shot), shot.width, shot.height, shot.frame_rate) == (60, WIDTH, HEIGHT, 24)
    assert shot.duration_s == pytest.approx(2.5)
    assert [number_of(f) for f in read_frames(shot)] == list(range(60))


def test_frames_that_were_read_do_not_stay_in_memory(film, monkeypatch):
    monkeypatch.setattr(decoding, "MAX_UNCOLLECTED_PIXELS", 4 * WIDTH * HEIGHT)

    def alive() -> int:
        # Not isinstance: it asks objects of other libraries for their class, and some warn then.
        return sum(type(one) is VideoFrame for one in gc.get_objects())

    gc.collect()
    gc.disable()
    before, most = alive(), 0
    try:
        for _ in read_frames(open_shot(film)):
            most = max(most, alive() - before)
    finally:
        gc.enable()
    assert most < 20  # of 60: some for the decoder's threads


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts", ".mov", ".h264"])
def test_every_part_of_a_shot_equals_the_full_decode(tmp_path, suffix):
    path = tmp_path / f"film{suffix}"
    write_h264(path, [numbered(i) for i in range(40)])
    shot = open_shot(path)
    assert len(shot) == 40 and shot.frame_rate == 24
    for start, stop in ((0, 1), (1, 3), (11, 13), (12, 14), (13, 30), (37, None)):
        numbers = range(40)[start:stop]
        assert [number_of(f) for f in read_frames(shot, numbers)] == list(numbers)


@pytest.mark.parametrize("near", [0, 4, 48])
def test_frames_far_apart_are_the_same_sought_or_decoded(tmp_path, monkeypatch, near):
    monkeypatch.setattr(video, "_NEAR_IN_A_SHOT", near)
    monkeypatch.setattr(video, "_NEAR_IN_OURS", near)
    path, numbers = tmp_path / "film.mp4", [2, 3, 7, 19, 20, 38]
    write_h264(path, [numbered(i) for i in range(40)], options={"bf": "3", "g": "10", "crf": "12"})
    assert [number_of(f) for f in read_frames(open_shot(path), numbers)] == numbers
    assert [number_of(f) for f in read_video(path, numbers)] == numbers
    assert list(read_video(path, [])) == list(read_frames(open_shot(path), [])) == []
    for wrong in ([3, 2], [3, 3], [-1, 2]):
        with pytest.raises(ValueError, match="rising"):
            next(read_video(path, wrong))


@pytest.mark.parametrize("open_gop", [False, True])
def test_a_range_by_time_reads_its_own_frames(tmp_path, open_gop):
    path = tmp_path / "film.mp4"
    options = {"bf": "3", "g": "10", "crf": "12"} | ({"x264-params": "open-gop=1:scenecut=0"} if open_gop else {})
    write_h264(path, [numbered(i) for i in range(60)], options=options)
    for first in range(1, 50, 7):
        shot = open_shot(path, first / 24, (first + 9) / 24)
        assert shot.start_frame == first
        assert [number_of(f) for f in read_frames(shot)] == list(range(first, first + 9))
        assert [number_of(f) for f in read_frames(shot, [4, 5])] == [first + 4, first + 5]


def test_times_typed_in_milliseconds_hit_the_frame(film):
    assert open_shot(film, 0.333, 0.417).start_frame == 8
    assert len(open_shot(film, 0.333, 0.417)) == 2


def test_variable_frame_rate_keeps_every_time_stamp(tmp_path):
    times = [0, 3, 4, 9, 10, 17, 30, 31]
    path = tmp_path / "variable.mp4"
    write_h264(path, [numbered(i) for i in range(8)], times, Fraction(1, 30))
    shot = open_shot(path)
    seconds = shot.timestamps * shot.time_base
    assert list(seconds) == [Fraction(t, 30) for t in times]
    assert shot.frame_rate == Fraction(7 * 30, 31)
    assert [number_of(f) for f in read_frames(shot, range(3, 6))] == [3, 4, 5]


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30000, 1001), Fraction(25), Fraction(120)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_rate_is_exact(tmp_path, rate, suffix):
    path = tmp_path / f"film{suffix}"
    with VideoWriter(path, WIDTH, HEIGHT, rate, "film") as writer:
        for i in range(10):
            writer.write(numbered(i))
    assert open_shot(path).frame_rate == rate
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata_are_applied(tmp_path, degrees):
    upright = np.zeros((48, 80, 3), np.uint8)
    upright[:24, :40], upright[:24, 40:], upright[24:, :40] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    stored = np.ascontiguousarray(np.rot90(upright, -degrees // 90))  # The matrix turns counter-clockwise.
    path = tmp_path / "phone.mp4"
    write_h264(path, [stored] * 3, rotation=degrees)
    shot = open_shot(path)
    assert (shot.width, shot.height) == (80, 48)
    frame = next(read_frames(shot)).astype(int)
    assert np.abs(frame[8:16, 8:32] - (250, 0, 0)).max() < 12
    assert np.abs(frame[8:16, 48:72] - (0, 250, 0)).max() < 12
    assert np.abs(frame[32:40, 8:32] - (0, 0, 250)).max() < 12


def test_pixels_become_square_without_losing_any(tmp_path):
    for aspect, size in ((Fraction(4, 3), (128, 64)), (Fraction(1, 2), (96, 128))):
        path = tmp_path / f"{aspect.denominator}.mp4"
        write_h264(path, [numbered(5)] * 3, aspect=aspect)
        shot = open_shot(path)
        assert (shot.width, shot.height) == size
        frame = next(read_frames(shot))
        assert frame.shape == (size[1], size[0], 3) and number_of(frame) == 5


PATCHES = np.array([(255, 255, 255), (0, 0, 0), (128, 128, 128), (220, 40, 30), (30, 200, 60), (40, 60, 230)], np.uint8)


@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p10le"])
def test_colours_survive_whatever_matrix_and_range_the_file_names(tmp_path, matrix, full_range, pixels):
    path = tmp_path / "patches.mp4"
    picture = np.repeat(np.repeat(PATCHES[None], 16, 1), 32, 0)
    tags = {"colorspace": int(matrix), "color_range": 2 if full_range else 1}
    write_h264(path, [picture] * 3, pixels=pixels, tags=tags, matrix=matrix, full_range=full_range)
    frame = next(read_frames(open_shot(path)))
    assert np.abs(frame[16, 8::16].astype(int) - PATCHES).max() <= 5


def test_a_file_that_names_no_matrix_is_read_as_players_do(tmp_path):
    for height, width, matrix in ((96, 96, Colorspace.ITU601), (720, 1280, Colorspace.ITU709)):
        picture = np.full((height, width, 3), (220, 40, 30), np.uint8)
        write_h264(tmp_path / "film.mp4", [picture] * 2, matrix=matrix)
        frame = next(read_frames(open_shot(tmp_path / "film.mp4")))
        assert np.abs(frame[40, 40].astype(int) - (220, 40, 30)).max() <= 4


def test_hdr_becomes_ordinary_white_and_keeps_the_order_of_tones(tmp_path):
    # PQ code 0.58 is 203 nits, the reference white of BT.2408.
    greys = np.array([0.0, 0.2, 0.4, 0.5, 0.58, 0.75])
    picture = np.repeat(np.repeat((greys * 255)[None, :, None], 16, 1), 32, 0).repeat(3, 2).astype(np.uint8)
    tags = {"colorspace": 9, "color_range": 1, "color_trc": 16, "color_primaries": 9}
    path = tmp_path / "hdr.mp4"
    write_h264(path, [picture] * 3, pixels="yuv420p10le", tags=tags, matrix=Colorspace.BT2020)
    tones = next(read_frames(open_shot(path)))[16, 8::16].astype(int)
    assert np.ptp(tones, axis=1).max() <= 3  # Grey stays grey.
    assert (np.diff(tones[:, 1]) > 0).all() and tones[0, 1] <= 2
    assert 215 <= tones[4, 1] <= 245 and tones[5, 1] >= 248


def test_odd_sizes_are_read_as_they_are(tmp_path):
    path = tmp_path / "odd.mkv"
    with VideoWriter(path, 95, 63, Fraction(24), "lossless") as writer:
        for i in range(3):
            writer.write(numbered(i, 95, 63))
    shot = open_shot(path)
    assert (shot.width, shot.height) == (95, 63)
    assert all((f == numbered(i, 95, 63)).all() for i, f in enumerate(read_frames(shot)))


def test_small_copies_keep_the_shape(film):
    frame = next(read_frames(open_shot(film), [9], max_side_px=48))
    assert frame.shape == (32, 48, 3)


def kinds(tmp_path):
    rng = np.random.default_rng(3)
    yield "lossless", [rng.integers(0, 256, (63, 95, 3), np.uint8) for _ in range(5)]
    yield "lossless_alpha", [rng.integers(0, 256, (63, 95, 4), np.uint8) for _ in range(5)]
    yield "mask", [rng.integers(0, 256, (63, 95), np.uint8) for _ in range(5)]


def test_lossless_kinds_return_every_byte(tmp_path):
    for kind, frames in kinds(tmp_path):
        path = tmp_path / f"{kind}.mkv"
        with VideoWriter(path, 95, 63, Fraction(24000, 1001), kind) as writer:
            for frame in frames:
                writer.write(frame)
        back = list(read_video(path))
        assert len(back) == 5 and all((a == b).all() and a.dtype == np.uint8 for a, b in zip(back, frames, strict=True))
        assert [(f == frames[i]).all() for i, f in enumerate(read_video(path, [3, 4]), 3)] == [True, True]


@pytest.mark.parametrize(
    ("kind", "size", "channels", "depth"),
    [("mask", (3840, 2160), (), 1), ("lossless_alpha", (1920, 1080), (4,), 1), ("depth", (2560, 1440), (), 4)],
)
def test_large_pictures_are_written_though_files_may_not_claim_so_much_memory(
    tmp_path, monkeypatch, kind, size, channels, depth
):
    monkeypatch.setattr(decoding, "_largest_block", 0)
    decoding.bound_blocks()
    picture = np.random.default_rng(4).integers(1, 255, (*size[::-1], *channels)).astype(np.uint8)
    picture = picture if depth == 1 else picture.astype(np.float32)
    with VideoWriter(tmp_path / "large.mkv", *size, Fraction(25), kind) as writer:
        writer.write(picture)
    (back,) = read_video(tmp_path / "large.mkv")
    assert np.allclose(back, picture, rtol=2e-4 if depth == 4 else 0, atol=0)
    monkeypatch.setattr(decoding, "_largest_block", 0)
    decoding.bound_blocks()


def test_single_frames_are_found_where_the_rate_varies(tmp_path):
    path = tmp_path / "varying.mp4"
    # A slow start: seconds times the mean rate is off by several frames.
    times = [*range(0, 10 * 9000, 9000), *range(90000, 90000 + 20 * 1500, 1500)]
    write_h264(path, [numbered(i) for i in range(30)], times, Fraction(1, 90000))
    for index in (0, 1, 9, 10, 29):
        assert [number_of(frame) for frame in read_video(path, [index])] == [index]
    with pytest.raises(FootageError, match="ends before its frame 30"):
        list(read_video(path, [29, 30]))


def test_depth_returns_metres_within_two_parts_in_ten_thousand(tmp_path):
    depth = np.geomspace(0.02, 5000, 64 * 96).reshape(64, 96).astype(np.float32)
    depth[10:20] = np.inf
    with VideoWriter(tmp_path / "depth.mkv", 96, 64, Fraction(25), "depth") as writer:
        writer.write(depth)
        writer.write(depth.astype(np.float64))
        with pytest.raises(ValueError, match="positive metres"):
            writer.write(np.zeros_like(depth))
    for back in read_video(tmp_path / "depth.mkv"):
        assert back.dtype == np.float32 and (np.isinf(back) == np.isinf(depth)).all()
        assert np.abs(back / np.where(np.isinf(depth), 1, depth) - 1)[np.isfinite(depth)].max() < 2e-4


@pytest.mark.parametrize(("kind", "worst"), [("film", 6), ("plate", 4)])
def test_films_and_plates_keep_tones(tmp_path, kind, worst):
    y, x = np.mgrid[:72, :128] / 128
    picture = (np.stack([x, y, 1 - x], -1) * 255).clip(0, 255).astype(np.uint8)
    with VideoWriter(tmp_path / "x.mp4", 128, 72, Fraction(24), kind) as writer:
        for _ in range(4):
            writer.write(picture)
    back = next(read_frames(open_shot(tmp_path / "x.mp4"))).astype(float)
    assert np.abs(back - picture).mean() < worst / 3 and np.abs((back - picture).mean((0, 1))).max() < 1.5
    assert len(list(read_video(tmp_path / "x.mp4"))) == 4


@pytest.mark.parametrize("kind", ["plate", "film"])
def test_films_and_plates_of_odd_sizes_become_even_as_players_need_them(tmp_path, kind):
    with VideoWriter(tmp_path / "x.mp4", 95, 63, Fraction(24), kind) as writer:
        for i in range(3):
            writer.write(numbered(i, 95, 63))
    with av.open(str(tmp_path / "x.mp4")) as container:
        assert container.streams.video[0].pix_fmt == "yuv420p"
    for index, frame in enumerate(read_video(tmp_path / "x.mp4")):
        assert frame.shape == (64, 96, 3) and number_of(frame[:63, :95]) == index
        assert np.abs(frame[63:].astype(int) - frame[62]).max() < 9


def test_an_error_leaves_no_file_and_keeps_the_old_one(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), VideoWriter(path, WIDTH, HEIGHT, Fraction(24), "film") as writer:
        writer.write(numbered(0))
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"] and path.read_bytes() == b"old"


def test_frames_of_another_shape_are_refused(tmp_path):
    with (
        pytest.raises(ValueError, match="expected"),
        VideoWriter(tmp_path / "x.mkv", 96, 64, Fraction(24), "mask") as w,
    ):
        w.write(np.zeros((64, 95), np.uint8))


def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path, film, capfd):
    refused(tmp_path / "nothing.mp4", "No such file")
    refused(tmp_path, "folder")
    (tmp_path / "empty.mp4").write_bytes(b"")
    refused(tmp_path / "empty.mp4", "empty")
    (tmp_path / "text.mp4").write_text("This is not a film. " * 500)
    refused(tmp_path / "text.mp4", "cannot be read")
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile {film}\n")
    refused(tmp_path / "list.mp4", "cannot be read")
    whole = tmp_path / "whole.mp4"
    write_h264(whole, [numbered(i) for i in range(30)])
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])  # The index was at the end.
    refused(tmp_path / "cut.mp4", "cannot be read")
    write_h264(tmp_path / "one.mp4", [numbered(0)])
    refused(tmp_path / "one.mp4", "1 frame", "at least two")
    refused(film, "start at 9", start_s=9.0)
    refused(film, "before its start", start_s=1.0, end_s=1.0)
    refused(film, "0 frames", start_s=1.01, end_s=1.02)
    refused(film, "-1", start_s=-1.0)
    with av.open(str(tmp_path / "sound.mp4"), "w") as out:
        write_clicks(out, out.add_stream("aac", rate=48_000, layout="mono"), 1.0, 48_000)
    refused(tmp_path / "sound.mp4", "only sound")
    assert capfd.readouterr().err == ""


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "huge.mkv"
    with VideoWriter(path, 8256, 600, Fraction(24), "mask") as writer:
        writer.write(np.zeros((600, 8256), np.uint8))
    refused(path, "8256×600", "scale it down")


def test_a_film_cut_in_the_middle_gives_the_frames_that_are_left(tmp_path, film, caplog, capfd):
    path = tmp_path / "cut.mp4"
    path.write_bytes(film.read_bytes()[: film.stat().st_size * 2 // 3])
    shot = open_shot(path)
    assert 5 < len(shot) < 60 and "cut off" in caplog.text
    assert len(list(read_frames(shot))) == len(shot)
    assert capfd.readouterr().err == ""


def test_a_film_of_which_no_frame_decodes(tmp_path, film):
    content = film.read_bytes()
    start = content.index(b"mdat") + 4
    path = tmp_path / "broken.mp4"
    path.write_bytes(content[:start] + bytes(len(content) - start))
    refused(path, "none of its frames")
    with pytest.raises(FootageError, match="none of its frames"):
        list(read_video(path))


def test_whatever_the_decoder_says_of_a_packet_it_is_left_out():
    container = Mock(spec=InputContainer)
    first, second = VideoFrame(16, 16, "gray"), VideoFrame(16, 16, "gray")
    outcomes = [first], av.error.FFmpegError(1, "unknown"), [second]
    container.demux.return_value = iter([Mock(spec=Packet, **{"decode.side_effect": [one]}) for one in outcomes])
    assert list(decoded(container, Mock(spec=VideoStream))) == [first, second]


def test_a_file_that_changed_is_noticed(tmp_path, film):
    path = tmp_path / "film.mp4"
    path.write_bytes(film.read_bytes())
    shot = open_shot(path)
    write_h264(path, [numbered(i) for i in range(20)])
    with pytest.raises(FootageError, match="changed"):
        list(read_frames(shot))


@pytest.mark.parametrize(
    ("codec", "rate", "source_name", "name", "outcome"),
    [
        ("aac", 48_000, "source.mp4", "new.mp4", "copied"),
        ("pcm_s16le", 48_000, "source.mov", "new.mov", "copied"),
        ("pcm_s16le", 48_000, "source.mov", "new.mp4", "encoded"),
        ("pcm_s16le", 192_000, "source.avi", "new.mp4", "encoded"),  # which does not say for which speakers
    ],
)
def test_the_new_film_keeps_frames_times_and_sound(tmp_path, codec, rate, source_name, name, outcome):
    source, path = tmp_path / source_name, tmp_path / name
    film_with_sound(source, codec, rate=rate)
    for first, count in ((0, 72), (30, 30)):
        shot = open_shot(source, first / 24, (first + count) / 24)
        assert shot.has_audio
        assert write_film(path, shot, (255 - f for f in read_frames(shot))) == outcome
        new = open_shot(path)
        assert len(new) == count and new.frame_rate == 24 and new.has_audio
        assert [255 - number_of(f) for f in read_frames(new)] == list(range(first, first + count))
        with av.open(str(path)) as container:
            assert abs(float(container.duration / av.time_base) - count / 24) < 0.05
        expected = [t for t in np.arange(0, 3, 0.5) - first / 24 if -0.01 < t < count / 24 - 1e-9]
        heard = [t for t in clicks_s(path) if -0.01 < t < count / 24]
        assert heard == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize(("codec", "kind", "outcome"), [("adpcm_ms", "avi", "encoded"), ("aac", "mkv", "copied")])
def test_damaged_sound_stays_out_and_the_film_is_made(tmp_path, codec, kind, outcome):
    source, path = tmp_path / f"source.{kind}", tmp_path / "new.mp4"
    film_with_sound(source, codec)
    with av.open(str(source)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0)][1:-1:2]
    data = source.read_bytes()
    for packet in packets:
        data = data.replace(packet, b"\xff" * len(packet))
    source.write_bytes(data[:-1000])
    shot = open_shot(source)
    assert write_film(path, shot, read_frames(shot)) == outcome
    assert len(open_shot(path)) == len(shot)
    with av.open(str(path)) as container:
        assert container.streams.audio


def test_sound_in_an_unknown_codec_is_no_sound(tmp_path):
    source, path = tmp_path / "source.mkv", tmp_path / "new.mp4"
    film_with_sound(source, "aac")
    source.write_bytes(source.read_bytes().replace(b"A_AAC", b"A_NEW"))
    shot = open_shot(source)
    assert not shot.has_audio
    assert write_film(path, shot, read_frames(shot)) == "none"


def test_a_title_in_no_known_letters_does_no_harm(tmp_path):
    source = tmp_path / "source.mp4"
    film_with_sound(source, "aac", "LETTERS")
    source.write_bytes(source.read_bytes().replace(b"LETTERS", b"\xff" * 7))
    shot = open_shot(source, 0.0, 0.5)
    assert write_film(tmp_path / "new.mp4", shot, read_frames(shot)) == "copied"


def test_the_new_film_keeps_variable_times(tmp_path):
    times = [0, 3, 4, 9, 10, 17, 30, 31]
    write_h264(tmp_path / "variable.mkv", [numbered(i) for i in range(8)], times, Fraction(1, 30))
    shot = open_shot(tmp_path / "variable.mkv")
    assert write_film(tmp_path / "new.mp4", shot, read_frames(shot)) == "none"
    new = open_shot(tmp_path / "new.mp4")
    assert list(new.timestamps * new.time_base) == list((shot.timestamps - shot.timestamps[0]) * shot.time_base)
    assert new.frame_rate == shot.frame_rate


def test_a_wrong_number_of_pictures_is_an_error_and_leaves_nothing(tmp_path, film):
    shot = open_shot(film)
    for count in (59, 61):
        with pytest.raises(ValueError, match="pictures"):
            write_film(tmp_path / "new.mp4", shot, (numbered(0) for _ in range(count)))
    assert not list(tmp_path.iterdir())
