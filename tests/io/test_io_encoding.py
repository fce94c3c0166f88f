"""What the encoders promise beyond what `test_io_video` reads back."""

from fractions import Fraction
from typing import get_args

import numpy as np
import pytest

from understudy.io.video.encoding import VideoKind, VideoWriter
from understudy.io.video.streams import read_video
from understudy.runtime.parallel import limit_workers


@pytest.mark.parametrize("kind", ["film", "plate"])
def test_equal_pictures_are_equal_files(tmp_path, kind):
    rng = np.random.default_rng(0)
    set_picture = rng.integers(60, 200, (17, 31, 3)).repeat(16, 0).repeat(16, 1)
    frames = [np.roll(set_picture, 3 * t, 1)[:192, :320] + rng.integers(0, 9, (192, 320, 3)) for t in range(30)]
    files = set()
    for attempt in range(8):
        # What an encoder does not initialise is not the same in every attempt.
        used_memory = [np.full(192 * 320 * size, 31 * attempt, np.uint8) for size in (1, 2, 3, 6)]
        del used_memory
        with VideoWriter(tmp_path / "film.mp4", 320, 192, Fraction(24), kind) as writer:
            for frame in frames:
                writer.write(frame.astype(np.uint8))
        files.add((tmp_path / "film.mp4").read_bytes())
    assert len(files) == 1


@pytest.mark.parametrize("kind", [kind for kind in get_args(VideoKind) if kind not in ("prores4444", "dnxhr")])
def test_a_file_does_not_depend_on_the_number_of_workers(kind, tmp_path):
    channels = {"lossless_alpha": (4,), "mask": (), "depth": ()}.get(kind, (3,))
    picture = np.random.default_rng(0).integers(1, 256, (160, 320, *channels)).repeat(2, 0).repeat(2, 1)
    frames = [np.roll(picture, 2 * t, 1).astype(np.float32 if kind == "depth" else np.uint8) for t in range(12)]
    files = set()
    for workers in (1, 2, 4):
        with limit_workers(workers), VideoWriter(tmp_path / "film.mkv", 640, 320, Fraction(24), kind) as writer:
            for frame in frames:
                writer.write(frame)
        files.add((tmp_path / "film.mkv").read_bytes())
    assert len(files) == 1


def test_a_video_is_read_at_the_size_that_is_asked_for(tmp_path):
    left_dark = np.repeat(np.repeat([[0, 200]], 160, 1), 180, 0).astype(np.uint8)
    with VideoWriter(tmp_path / "film.mp4", 320, 180, Fraction(24), "film") as writer:
        writer.write(np.dstack([left_dark] * 3))
    (small,) = read_video(tmp_path / "film.mp4", max_side_px=64)
    assert small.shape == (36, 64, 3)
    assert small[:, :30].max() < 20 and small[:, 34:].min() > 180


def test_a_film_takes_the_colour_of_four_pixels_from_these_four_alone(tmp_path):
    # Red and green of about the same luma, in columns of two pixels: only the stored colour tells them apart.
    picture = np.full((64, 96, 3), (180, 60, 60), np.uint8)
    picture[:, 2::4] = picture[:, 3::4] = (20, 108, 60)
    with VideoWriter(tmp_path / "film.mkv", 96, 64, Fraction(24), "film", crf=1) as writer:
        for _ in range(2):
            writer.write(picture)
    red = next(read_video(tmp_path / "film.mkv"))[8:-8, 8:-8, 0].astype(float)
    assert red[:, 0::4].mean() - red[:, 2::4].mean() > 150
