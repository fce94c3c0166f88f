"""Films for editing and grading, and sequences: colours, times and sound as in the film for players."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import OpenEXR
import pytest
from made_films import clicks_s, film_with_sound, number_of, numbered, write_h264

from understudy.core.footage import Shot
from understudy.imaging.colour import linear_from_srgb_bytes
from understudy.io.video.film_sequence import write_sequence
from understudy.io.video.streams import open_shot, read_frames, read_video, write_film, write_sound

CODECS = ("prores4444", "dnxhr")
PATCHES = np.array([(255, 255, 255), (0, 0, 0), (128, 128, 128), (220, 40, 30), (30, 200, 60), (40, 60, 230)], np.uint8)


def patches(width: int = 288, height: int = 144) -> np.ndarray:
    """Columns of colour; the first three rows are columns of one pixel."""
    row = np.repeat(PATCHES, width // len(PATCHES), 0)
    picture = np.repeat(np.pad(row, ((0, width - len(row)), (0, 0)), mode="edge")[None], height, 0)
    picture[:48] = np.resize(PATCHES[3:5], (width, 3))
    return picture


def black(folder: Path, width: int = 288, height: int = 144, times: list[int] | None = None) -> Shot:
    """A shot of six frames."""
    path = folder / "source.mkv"
    write_h264(path, [np.zeros((height, width, 3), np.uint8)] * 6, times, Fraction(1, 24), "yuv444p")
    return open_shot(path)


@pytest.mark.parametrize("codec", CODECS)
def test_colours_come_back_even_from_single_columns_of_pixels(tmp_path, codec):
    shot = black(tmp_path)
    write_film(tmp_path / "film.mov", shot, [patches()] * 6, codec)
    for frame in read_video(tmp_path / "film.mov"):
        assert np.abs(frame[:40].astype(int) - patches()[:40]).max() <= 12
        inner = np.arange(24, 288, 48)
        assert np.abs(frame[100, inner].astype(int) - PATCHES).max() <= 2


@pytest.mark.parametrize("codec", CODECS)
def test_the_file_says_which_colours_they_are(tmp_path, codec):
    shot = black(tmp_path)
    write_film(tmp_path / "film.mov", shot, [patches()] * 6, codec)
    with av.open(str(tmp_path / "film.mov")) as film:
        stream = film.streams.video[0]
        frame = next(film.decode(stream))
        assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (1, 1, 1, 1)
        assert frame.format.name.startswith("yuv444p1")
        assert stream.codec_context.profile in ("4444", "DNXHR 444")


@pytest.mark.parametrize("codec", CODECS)
def test_odd_sizes_and_varying_times_are_kept(tmp_path, codec):
    shot = black(tmp_path, 289, 145, [0, 3, 4, 9, 10, 17])
    assert write_film(tmp_path / "film.mov", shot, [numbered(i, 289, 145) for i in range(6)], codec) == "none"
    film = open_shot(tmp_path / "film.mov")
    assert (film.width, film.height) == (289, 145)
    assert list(film.timestamps * film.time_base) == list(shot.timestamps * shot.time_base)
    assert [number_of(frame) for frame in read_frames(film)] == list(range(6))


@pytest.mark.parametrize(
    ("codec", "suffix", "outcome", "kept"),
    [
        ("aac", "mp4", "copied", "aac"),
        ("pcm_s16le", "mov", "copied", "pcm_s16le"),
        ("flac", "mkv", "encoded", "pcm_s24le"),
    ],
)
def test_sound_stays_as_it_is_or_becomes_pcm(tmp_path, codec, suffix, outcome, kept):
    path = tmp_path / f"source.{suffix}"
    film_with_sound(path, codec)
    shot = open_shot(path, 0.5, 2.5)
    assert write_film(tmp_path / "film.mov", shot, (numbered(0) for _ in range(48)), "prores4444") == outcome
    assert write_sound(tmp_path / "sound.mov", shot) == outcome
    for name in ("film.mov", "sound.mov"):
        with av.open(str(tmp_path / name)) as film:
            assert [track.codec_context.name for track in film.streams.audio] == [kept]
            assert len(film.streams.video) == (name == "film.mov")
        heard = [time for time in clicks_s(tmp_path / name) if -0.01 < time < 2]
        assert heard == pytest.approx([0, 0.5, 1.0, 1.5], abs=0.002)


def test_a_sequence_holds_linear_light_and_gives_every_byte_back(tmp_path):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (36, 64, 3), dtype=np.uint8) for _ in range(5)]
    frames[0][0], frames[0][1] = np.arange(64)[:, None], 255
    rate = Fraction(24000, 1001)
    odd = tmp_path / os.fsdecode(b"film\xff")
    write_sequence(odd, iter(frames), rate, first=1001)
    odd.rename(tmp_path / "film")
    names = sorted(path.name for path in (tmp_path / "film").iterdir())
    assert names == [f"film.{number}.exr" for number in range(1001, 1006)]
    shot = open_shot(tmp_path / "film")
    assert shot.frame_rate == rate
    assert all((a == b).all() for a, b in zip(frames, read_frames(shot), strict=True))
    exr = OpenEXR.File(str(tmp_path / "film/film.1003.exr"), separate_channels=True)
    assert exr.header()["framesPerSecond"] == rate and exr.header()["imageCounter"] == 1003
    assert exr.header()["chromaticities"] == pytest.approx((0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329))
    green = exr.channels()["G"].pixels
    assert green.dtype == np.float16
    assert green.astype(float) == pytest.approx(linear_from_srgb_bytes(frames[2])[..., 1], rel=1e-3)
    assert (
        OpenEXR.File(str(tmp_path / "film/film.1001.exr"), separate_channels=True).channels()["R"].pixels[1] == 1
    ).all()
