"""Cuts: every hard one is found, on its frame; flashes, whip pans and fast action are none."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.decompose.cuts import find_cuts
from understudy.io.video.streams import VideoWriter, open_shot, read_frames

WIDTH, HEIGHT = 160, 96


def scenery(seed: int, width: int = WIDTH) -> np.ndarray:
    """A soft random landscape with its own palette."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 1, (6, max(8, width // 20), 3)) * rng.uniform(0.3, 1.0, 3)
    return (np.clip(cv2.resize(coarse, (width, HEIGHT), interpolation=cv2.INTER_CUBIC), 0, 1) * 255).astype(np.uint8)


def take(seed: int, frames: int) -> list[np.ndarray]:
    """A disc crosses the landscape while the camera drifts."""
    wide = scenery(seed, WIDTH + 2 * frames)
    pictures = []
    for i in range(frames):
        picture = wide[:, i : i + WIDTH].copy()
        cv2.circle(picture, (10 + 6 * i, 50), 20, (240, 230, 220), -1)
        pictures.append(picture)
    return pictures


def starts_of_pieces(path: Path, pictures: list[np.ndarray]) -> list[int]:
    with VideoWriter(path, WIDTH, HEIGHT, Fraction(24), "plate") as writer:
        for picture in pictures:
            writer.write(picture)
    shot = open_shot(path)
    pieces = find_cuts(shot)
    assert sum(len(piece) for piece in pieces) == len(shot)
    assert np.concatenate([piece.timestamps for piece in pieces]).tolist() == shot.timestamps.tolist()
    for piece in pieces:
        first = next(read_frames(piece)).astype(int)
        assert np.abs(first - pictures[piece.start_frame]).mean() < 6
    return [piece.start_frame for piece in pieces]


def test_every_cut_is_found_on_its_frame(tmp_path):
    lengths = [20, 9, 31, 14]
    pictures = [picture for seed, length in enumerate(lengths) for picture in take(seed, length)]
    assert starts_of_pieces(tmp_path / "a.mp4", pictures) == [0, 20, 29, 60]


def test_an_uncut_shot_stays_whole(tmp_path):
    assert starts_of_pieces(tmp_path / "a.mp4", take(5, 40)) == [0]


def test_a_punch_in_on_the_same_place_is_a_cut(tmp_path):
    wide = take(3, 40)
    close = [cv2.resize(p[10:58, 70:150], (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR) for p in wide[20:]]
    assert starts_of_pieces(tmp_path / "a.mp4", wide[:20] + close) == [0, 20]


def faded(picture: np.ndarray, light: float) -> np.ndarray:
    return np.round(picture * light).astype(np.uint8)


def test_a_fade_through_black_is_cut_in_its_middle(tmp_path):
    first, second = take(0, 32), take(1, 44)
    first[20:] = [faded(picture, 1 - i / 12) for i, picture in enumerate(first[20:])]
    second[:12] = [faded(picture, (i + 1) / 12) for i, picture in enumerate(second[:12])]
    black = [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 5
    (_, cut) = starts_of_pieces(tmp_path / "a.mp4", first + black + second)
    assert 32 <= cut < 37


def test_lights_out_and_a_fade_at_the_end_are_no_cuts(tmp_path):
    wide = scenery(4, WIDTH + 50)
    pictures = [wide[:, i : i + WIDTH] for i in range(50)]
    dark = [faded(p, 0.0) if 20 <= i < 26 or i >= 46 else p for i, p in enumerate(pictures)]
    assert starts_of_pieces(tmp_path / "a.mp4", dark) == [0]


def test_flashes_are_no_cuts(tmp_path):
    pictures = take(2, 40)
    for i in (10, 11, 30):
        pictures[i] = np.clip(pictures[i].astype(int) * 2 + 90, 0, 255).astype(np.uint8)
    pictures[20] = np.full_like(pictures[20], 255)
    assert starts_of_pieces(tmp_path / "a.mp4", pictures) == [0]


def test_a_whip_pan_is_no_cut(tmp_path):
    wide = scenery(7, 3000)
    places = np.cumsum(
        np.concatenate([np.zeros(12), np.linspace(0, 70, 8), np.full(20, 70.0), np.linspace(70, 0, 8), np.zeros(12)])
    )
    pictures = [cv2.blur(wide[:, int(x) : int(x) + WIDTH], (9, 1)) for x in places]
    assert starts_of_pieces(tmp_path / "a.mp4", pictures) == [0]


def test_pieces_are_never_shorter_than_asked(tmp_path):
    pictures = take(0, 20) + take(1, 4) + take(2, 20)
    starts = starts_of_pieces(tmp_path / "a.mp4", pictures)
    assert len(starts) == 2 and starts[1] in (20, 24)


@pytest.mark.shared
def test_no_real_shot_is_cut(shared_data):
    for path in sorted((shared_data / "shots").glob("*.mp4")):
        shot = open_shot(path)
        assert find_cuts(shot) == [shot], path.name


@pytest.mark.shared
def test_joined_real_shots_are_parted(shared_data, tmp_path):
    paths = sorted((shared_data / "shots").glob("*.mp4"))
    for a, b in zip(paths, paths[4:] + paths[:4], strict=True):
        pictures = [
            cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
            for path in (a, b)
            for frame in read_frames(open_shot(path, 0.0, 2.9), range(16), max_side_px=240)
        ]
        assert starts_of_pieces(tmp_path / "a.mp4", pictures) == [0, 16], (a.name, b.name)
