"""Mattes, on pictures of which the true matte is known."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from understudy.core.footage import LANDMARKS, LandmarkTrack
from understudy.decompose.matte.refine import MatteConfig, MatteFrame, refine_matte, refined
from understudy.imaging.guided_filter import guided_coefficients
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.streams import open_shot, read_video
from understudy.runtime.parallel import limit_workers

HEIGHT, WIDTH = 360, 300


def background(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(60, 200, (12, 10, 3)).astype(np.float32), (WIDTH, HEIGHT))
    return np.clip(coarse + cv2.GaussianBlur(rng.normal(0, 30, coarse.shape).astype(np.float32), (0, 0), 1.5), 0, 255)


def figure(shift: float = 0.0, stick: bool = False) -> np.ndarray:
    """A true matte: head, trunk, two legs and perhaps a held stick, with soft edges, 0 … 1."""
    canvas = np.zeros((HEIGHT * 4, WIDTH * 4), np.uint8)
    x = int(4 * (150 + shift))
    cv2.circle(canvas, (x, 4 * 80), 4 * 22, 255, -1)
    cv2.ellipse(canvas, (x, 4 * 160), (4 * 38, 4 * 65), 0, 0, 360, 255, -1)
    for side in (-1, 1):
        cv2.line(canvas, (x + side * 60, 4 * 200), (x + side * 100, 4 * 310), 255, 4 * 24)
    if stick:
        cv2.line(canvas, (x + 4 * 30, 4 * 165), (x + 4 * 90, 4 * 130), 255, 4 * 5)
    return cv2.resize(cv2.GaussianBlur(canvas, (0, 0), 4), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) / 255.0


def film(matte: np.ndarray, plate: np.ndarray, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    clothes = np.empty_like(plate)
    clothes[:, :] = (40, 60, 190)
    clothes[:105] = (225, 180, 150)
    clothes[205:] = (50, 45, 40)
    picture = matte[..., None] * clothes + (1 - matte[..., None]) * plate
    return np.clip(picture + rng.normal(0, 3, plate.shape), 0, 255).astype(np.uint8)


def rough(matte: np.ndarray) -> np.ndarray:
    """What the landmark network gives: coarse, a little off, a bite taken out of it."""
    off = np.roll(matte, (2, 3), axis=(0, 1)).astype(np.float32)
    off[150:175, 100:125] = 0
    small = cv2.resize(off, (WIDTH // 4, HEIGHT // 4), interpolation=cv2.INTER_AREA)
    return np.rint(255 * cv2.resize(small, (WIDTH, HEIGHT))).astype(np.uint8)


def matte_of(*frame: np.ndarray | None) -> np.ndarray:
    return next(refined([MatteFrame(*frame)], MatteConfig()))


def error(mask: np.ndarray, matte: np.ndarray) -> float:
    """Mean absolute error over the true matte's area."""
    return float(np.abs(mask / 255.0 - matte).sum() / matte.sum())


def noisy(plate: np.ndarray, seed: int = 2) -> np.ndarray:
    return np.clip(plate + np.random.default_rng(seed).normal(0, 2, plate.shape), 0, 255).astype(np.uint8)


def hand_at(x: float, y: float) -> np.ndarray:
    points = np.full((33, 2), (150.0, 160.0))
    points[[LANDMARKS.index(name) for name in ("left_wrist", "left_index")]] = x, y
    return points


def test_a_good_plate_gives_a_fine_matte():
    matte, plate = figure(), background()
    start = rough(matte)
    mask = matte_of(film(matte, plate), noisy(plate), start)
    assert error(mask, matte) < 0.035
    assert error(mask, matte) < 0.25 * error(start, matte)
    edge = (matte > 0.2) & (matte < 0.8)
    assert np.abs(mask[edge] / 255.0 - matte[edge]).mean() < 0.2


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_size_of_the_picture_changes_little(scale):
    matte, plate = figure(), background()
    size = (int(WIDTH * scale), int(HEIGHT * scale))
    arrays = [cv2.resize(x, size) for x in (film(matte, plate), noisy(plate), rough(matte))]
    mask = cv2.resize(matte_of(*arrays), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    assert error(mask, matte) < 0.05


def test_a_plate_that_still_shows_the_person_does_no_harm():
    matte, plate = figure(), background()
    picture, start = film(matte, plate), rough(matte)
    assert error(matte_of(picture, picture, start), matte) < error(start, matte)


def test_a_plate_of_another_place_does_no_harm():
    matte, plate = figure(), background()
    start = rough(matte)
    assert error(matte_of(film(matte, plate), noisy(background(seed=9)), start), matte) < error(start, matte)


def test_a_plate_that_is_a_pixel_off_is_good_enough():
    matte, plate = figure(), background()
    shifted = np.roll(plate, (1, -1), axis=(0, 1))
    assert error(matte_of(film(matte, plate), noisy(shifted), rough(matte)), matte) < 0.08


def test_what_the_hand_holds_is_the_persons():
    with_stick, plate = figure(stick=True), background()
    mask = matte_of(film(with_stick, plate), noisy(plate), rough(figure()), None, hand_at(180, 165))
    stick = (with_stick > 0.9) & (figure() < 0.1)
    assert stick.sum() > 100
    assert (mask[stick] > 127).mean() > 0.9


def test_a_thing_that_moves_elsewhere_is_not_the_persons():
    matte, plate = figure(), background()
    picture = film(matte, plate)
    picture[250:290, 245:285] = (250, 240, 30)
    mask = matte_of(picture, noisy(plate), rough(matte))
    assert mask[250:290, 245:285].max() == 0


def test_another_persons_pixels_are_not_taken():
    matte, plate = figure(), background()
    both = np.maximum(matte, figure(shift=60.0))
    other = np.rint(255 * figure(shift=60.0) * (matte < 0.5)).astype(np.uint8)
    mask = matte_of(film(both, plate), noisy(plate), rough(matte), other)
    theirs = (figure(shift=60.0) > 0.9) & (cv2.dilate(matte, np.ones((25, 25))) < 0.1)
    assert theirs.sum() > 500
    assert (mask[theirs] > 127).mean() < 0.02


def test_nobody_gives_an_empty_mask():
    plate = noisy(background())
    assert matte_of(plate, plate, np.zeros((HEIGHT, WIDTH), np.uint8)).max() == 0


def test_the_guided_filter_is_exact_where_the_mask_is_linear_in_the_guide():
    rng = np.random.default_rng(3)
    guide = rng.uniform(0, 1, (40, 50, 3)).astype(np.float32)
    values = (guide @ np.array([0.5, -0.2, 0.3], np.float32) + 0.1).astype(np.float32)
    coefficients = guided_coefficients(guide, values, 4, 1e-7)
    filtered = (coefficients[..., :3] * guide).sum(-1) + coefficients[..., 3]
    np.testing.assert_allclose(filtered, values, atol=1e-3)
    flat = guided_coefficients(np.full_like(guide, 0.5), values, 4, 1e-3)
    smooth = (flat[..., :3] * 0.5).sum(-1) + flat[..., 3]
    assert smooth.std() < 0.4 * values.std()


def test_a_whole_shot_is_refined_frame_by_frame(tmp_path):
    length, rate = 5, Fraction(25)
    plate = background()
    mattes = [figure(shift=4.0 * frame) for frame in range(length)]
    streams = {
        "shot.mkv": ("lossless", [film(matte, plate, seed=frame) for frame, matte in enumerate(mattes)]),
        # A codec's padding: a row and a column more.
        "plate.mkv": ("lossless", [np.pad(noisy(plate), ((0, 1), (0, 1), (0, 0)), mode="edge")] * length),
        "rough.mkv": ("mask", [rough(matte) for matte in mattes]),
    }
    for name, (kind, frames) in streams.items():
        height, width = frames[0].shape[:2]
        with VideoWriter(tmp_path / name, width, height, rate, kind) as writer:
            for frame in frames:
                writer.write(frame)
    track = LandmarkTrack(
        np.full((length, 33, 2), 150.0), np.ones((length, 33)), np.zeros((length, 33, 3)), np.ones(length, bool)
    )
    shot = open_shot(tmp_path / "shot.mkv")
    steps = []
    refine_matte(
        shot, tmp_path / "rough.mkv", tmp_path / "plate.mkv", track, tmp_path / "mask.mkv",
        progress=lambda done, total: steps.append((done, total)),
    )  # fmt: skip
    masks = list(read_video(tmp_path / "mask.mkv"))
    assert len(masks) == length
    assert max(error(mask, matte) for mask, matte in zip(masks, mattes, strict=True)) < 0.05
    assert steps[-1] == (length, length)


def test_mattes_are_the_same_with_one_worker_and_with_three():
    plate = background()
    frames = []
    for time in range(6):
        matte = figure(shift=4.0 * time)
        points = hand_at(180 + 4 * time, 165) if time % 3 else None
        frames.append(MatteFrame(film(matte, plate, seed=time), noisy(plate), rough(matte), None, points))
    mattes = []
    for workers in (1, 3):
        with limit_workers(workers):
            mattes.append([matte.tobytes() for matte in refined(frames, MatteConfig())])
    assert mattes[0] == mattes[1] and len(mattes[0]) == 6
    assert mattes[0][4] != next(refined(frames[4:], MatteConfig())).tobytes()  # what was learned before counts
