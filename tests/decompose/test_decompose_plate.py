"""The clean plate, on scenes that are known without their actor."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from understudy.core.camera import UnscaledCameraPath
from understudy.core.footage import CameraSolution, Shot
from understudy.decompose.plate.clean_plate import PlateConfig, clean_frames, make_clean_plate
from understudy.decompose.plate.holes import HoleTally, PlateReport
from understudy.decompose.plate.plane_sweep import _walls as walls
from understudy.geometry.projection import intrinsics
from understudy.geometry.rotations import matrix_from_vector
from understudy.io.video import streams as video
from understudy.io.video.streams import VideoWriter, open_shot, read_video
from understudy.runtime.errors import FootageError
from understudy.runtime.parallel import limit_workers

WIDTH, HEIGHT = 320, 192
RATE = Fraction(25)
SLOW_TURN = pytest.param("rotation", marks=pytest.mark.slow)


def texture(size: int, seed: int) -> np.ndarray:
    """Coloured patches with soft edges over noise of many scales."""
    rng = np.random.default_rng(seed)
    picture = np.full((size, size, 3), 120.0, np.float32)
    for octave in range(2, 7):
        noise = rng.standard_normal((2**octave, 2**octave, 3)).astype(np.float32)
        picture += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC) * 60 / octave**1.5
    for _ in range(60):
        x, y, w, h = rng.integers(0, size, 2).tolist() + rng.integers(size // 40, size // 8, 2).tolist()
        cv2.rectangle(picture, (x, y), (x + w, y + h), rng.uniform(20, 230, 3).tolist(), -1)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 1.2), 0, 255)


def camera_path(R: np.ndarray, position: np.ndarray, focal_px: float = 300.0) -> UnscaledCameraPath:
    T = np.tile(np.eye(4), (len(R), 1, 1))
    T[:, :3, :3], T[:, :3, 3] = R, position
    K = np.tile(intrinsics(focal_px, WIDTH, HEIGHT), (len(R), 1, 1))
    return UnscaledCameraPath(T, K, WIDTH, HEIGHT, RATE)


def rays_of(camera: UnscaledCameraPath, time: int) -> np.ndarray:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(camera.K[time]).T
    return rays @ camera.T_world_camera[time, :3, :3].T


def wall_of_rays(camera: UnscaledCameraPath, time: int, picture: np.ndarray) -> np.ndarray:
    """A set at infinity, for a turning camera."""
    rays = rays_of(camera, time)
    size = picture.shape[0]
    at = rays[..., :2] / rays[..., 2:] * 290.0 + size / 2
    return cv2.remap(picture, at.astype(np.float32), None, cv2.INTER_CUBIC)


def room(camera: UnscaledCameraPath, time: int, pictures: list[np.ndarray]) -> np.ndarray:
    """A ground 1.5 below, a wall 9 away and a board before it, for a travelling camera (+Y down)."""
    rays, origin = rays_of(camera, time), camera.position[time]
    nearest = np.full((HEIGHT, WIDTH), np.inf)
    out = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for axis, place, across, picture, limit in (
        (2, 9.0, (0, 1), pictures[0], 1e9),
        (1, 1.5, (0, 2), pictures[1], 1e9),
        (2, 6.5, (0, 1), pictures[2], 1.2),
    ):
        with np.errstate(divide="ignore"):
            distance = (place - origin[axis]) / rays[..., axis]
        point = origin + rays * distance[..., None]
        hit = (distance > 0.1) & (distance < nearest) & (np.abs(point[..., 0] - 0.6) < limit)
        at = (point[..., across] * 55.0 + picture.shape[0] / 2).astype(np.float32)
        colour = cv2.remap(picture, np.ascontiguousarray(at), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        out[hit], nearest[hit] = colour[hit], distance[hit]
    return out


def write_shot(
    folder: Path,
    count: int,
    clean: Callable[[int], np.ndarray],
    actor: Callable[[int], tuple[float, float]],
    noise: float = 0.0,
    shadow: bool = False,
    exposure: Callable[[int], float] = lambda time: 1.0,
) -> tuple[Shot, Path, list[np.ndarray], list[np.ndarray]]:
    """A film with a blob before a set: shot, mask, the frames without the blob, the blob's pixels."""
    rng = np.random.default_rng(3)
    truths, blobs = [], []
    with (
        VideoWriter(folder / "shot.mkv", WIDTH, HEIGHT, RATE, "lossless") as film,
        VideoWriter(folder / "mask.mkv", WIDTH, HEIGHT, RATE, "mask") as mask_film,
    ):
        for time in range(count):
            truth = np.clip(clean(time) * exposure(time), 0, 255)
            x, y = actor(time)
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            cv2.ellipse(mask, (round(x), round(y)), (16, 42), 0, 0, 360, 255, -1, cv2.LINE_AA)
            frame = truth.copy()
            if shadow:
                dark = np.zeros((HEIGHT, WIDTH), np.float32)
                cv2.ellipse(dark, (round(x) + 34, round(y) + 40), (36, 7), 0, 0, 360, 1.0, -1)
                frame = frame * (1 - 0.45 * cv2.GaussianBlur(dark, (0, 0), 2.0)[..., None])
            share = mask[..., None] / 255.0
            frame = frame * (1 - share) + share * np.array([200.0, 40.0, 60.0])
            frame = frame + noise * rng.standard_normal(frame.shape)
            film.write(np.clip(np.rint(frame), 0, 255).astype(np.uint8))
            mask_film.write(mask)
            truths.append(truth)
            blobs.append(mask > 0)
    return open_shot(folder / "shot.mkv"), folder / "mask.mkv", truths, blobs


def decibels(out: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
    error = (out.astype(np.float64) - truth)[where]
    return float(10 * np.log10(255.0**2 / max(float((error**2).mean()), 1e-9)))


def clean_and_compare(
    shot: Shot,
    mask: Path,
    solution: CameraSolution,
    truths: list[np.ndarray],
    blobs: list[np.ndarray],
) -> tuple[np.ndarray, list[np.ndarray], PlateReport]:
    """Decibels inside the blob for each frame, the plate, the report."""
    # Before the plate is written: its file is for playing, and compresses colour.
    tally = HoleTally()
    plate = [frame.picture for frame in clean_frames(shot, [mask], solution, PlateConfig(), tally)]
    assert len(plate) == len(shot)
    report = tally.report(solution.move)
    scores = [decibels(p, t, b) for p, t, b in zip(plate, truths, blobs, strict=True)]
    return np.array(scores), plate, report


def solution_of(camera: UnscaledCameraPath, move: str, points: np.ndarray | None = None) -> CameraSolution:
    points = np.zeros((0, 3)) if points is None else points
    return CameraSolution(camera, move, points, np.zeros(len(camera)))


def across(count: int) -> Callable[[int], tuple[float, float]]:
    return lambda time: (50 + 220 * time / (count - 1), 110)


def test_static_camera_shows_what_was_behind(tmp_path):
    count, picture = 40, texture(WIDTH, 1)[:HEIGHT]
    shot, mask, truths, blobs = write_shot(tmp_path, count, lambda time: picture, across(count))
    camera = camera_path(np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)))
    scores, plate, report = clean_and_compare(shot, mask, solution_of(camera, "static"), truths, blobs)
    assert np.median(scores) > 52 and scores.min() > 45
    assert report.seen_share > 0.99
    far = ~cv2.dilate(blobs[0].astype(np.uint8), np.ones((61, 61), np.uint8)).astype(bool)
    assert np.array_equal(plate[0][far], np.rint(truths[0][far]).astype(np.uint8))


@pytest.mark.slow
def test_static_camera_follows_flicker_and_keeps_grain(tmp_path):
    count, picture = 40, texture(WIDTH, 2)[:HEIGHT] * 0.8
    flicker = lambda time: 1.0 + 0.08 * np.sin(time * 1.7)  # noqa: E731
    shot, mask, truths, blobs = write_shot(
        tmp_path, count, lambda time: picture, across(count), noise=4.0, exposure=flicker
    )
    camera = camera_path(np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)))
    _, plate, _ = clean_and_compare(shot, mask, solution_of(camera, "static"), truths, blobs)
    bias = [float((p.astype(float) - t)[b].mean()) for p, t, b in zip(plate, truths, blobs, strict=True)]
    assert np.abs(bias).max() < 1.2
    grain = [float((p.astype(float) - t)[b].std()) for p, t, b in zip(plate, truths, blobs, strict=True)]
    assert 3.4 < np.median(grain) < 4.6


def test_cast_shadow_goes_with_the_actor(tmp_path):
    count, picture = 40, texture(WIDTH, 3)[:HEIGHT]
    shot, mask, truths, blobs = write_shot(tmp_path, count, lambda time: picture, across(count), shadow=True)
    camera = camera_path(np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)))
    _, plate, _ = clean_and_compare(shot, mask, solution_of(camera, "static"), truths, blobs)
    for time in (10, 20, 30):
        band = np.zeros((HEIGHT, WIDTH), bool)
        x = round(across(count)(time)[0])
        band[140:160, x : x + 60] = True
        assert decibels(plate[time], truths[time], band) > 34


def test_turning_camera_shows_what_was_behind(tmp_path):
    count, picture = 40, texture(900, 4)
    turn = np.stack([0.04 * np.sin(np.arange(count) / 9), np.linspace(-0.3, 0.3, count), np.zeros(count)], -1)
    camera = camera_path(matrix_from_vector(turn), np.zeros((count, 3)))
    shot, mask, truths, blobs = write_shot(
        tmp_path, count, lambda time: wall_of_rays(camera, time, picture), lambda time: (160 + 30 * np.sin(time), 110)
    )
    scores, _, report = clean_and_compare(shot, mask, solution_of(camera, "rotation"), truths, blobs)
    assert np.median(scores) > 46 and scores.min() > 40
    assert report.seen_share > 0.95


def parallax_scene(
    folder: Path,
    count: int,
    actor: Callable[[int], tuple[float, float]] = lambda time: (160 + 70 * np.sin(time / 12), 112),
    shadow: bool = False,
) -> tuple[Shot, Path, list, list, CameraSolution]:
    pictures = [texture(1200, 5), texture(1200, 6), texture(1200, 7)]
    share = np.linspace(-1, 1, count)
    position = np.stack([1.6 * share, 0.1 * np.sin(3 * share), 0.5 * share], -1)
    turn = np.stack([0.02 * share, -0.12 * share, 0.0 * share], -1)
    camera = camera_path(matrix_from_vector(turn), position)
    shot, mask, truths, blobs = write_shot(
        folder, count, lambda time: room(camera, time, pictures), actor, shadow=shadow
    )
    rng = np.random.default_rng(8)
    wall = np.stack([rng.uniform(-6, 6, 250), rng.uniform(-4, 1.4, 250), np.full(250, 9.0)], -1)
    ground = np.stack([rng.uniform(-4, 4, 250), np.full(250, 1.5), rng.uniform(3, 9, 250)], -1)
    board = np.stack([rng.uniform(-0.6, 1.8, 80), rng.uniform(-3, 1.4, 80), np.full(80, 6.5)], -1)
    wall = wall[np.abs(wall[:, 0] - 0.6) > 1.8]
    return shot, mask, truths, blobs, solution_of(camera, "parallax", np.concatenate([wall, ground, board]))


def test_travelling_camera_shows_what_was_behind(tmp_path):
    shot, mask, truths, blobs, solution = parallax_scene(tmp_path, 48)
    scores, _, report = clean_and_compare(shot, mask, solution, truths, blobs)
    assert np.median(scores) > 42 and scores.min() > 28
    assert report.seen_share > 0.95


@pytest.mark.slow
def test_travelling_camera_leaves_no_shadow_of_other_moments(tmp_path):
    shot, mask, truths, blobs, solution = parallax_scene(tmp_path, 48, across(48), shadow=True)
    _, plate, _ = clean_and_compare(shot, mask, solution, truths, blobs)
    darker = []
    for time in range(0, 48, 4):
        x = round(across(48)(time)[0])
        band = np.s_[142:162, max(x - 30, 0) : x + 90]
        darker.append((truths[time][band] - plate[time][band] > 12).all(-1).mean())
    assert np.mean(darker) < 0.03 and max(darker) < 0.15


def test_ledges_and_sills_do_not_tilt_the_wall_behind_them():
    rng = np.random.default_rng(4)
    wall, ledge = rng.uniform((0, 0), (160, 80), (400, 2)), rng.uniform((0, 60), (160, 80), (120, 2))
    true = np.array([1e-4, -3e-4, 0.93])
    at = np.concatenate([wall, ledge])
    inverse = at @ true[:2] + true[2] + rng.normal(0, 0.001, len(at))
    inverse[len(wall) :] += rng.uniform(0.01, 0.04, len(ledge))
    found = walls(at, inverse, 5, 0.05)[0]
    corners = np.array([[0, 0, 1], [160, 0, 1], [0, 80, 1], [160, 80, 1]])
    assert np.abs(corners @ (found - true)).max() < 0.002


def test_never_uncovered_place_is_made_up_without_a_seam(tmp_path):
    count, picture = 16, texture(WIDTH, 9)[:HEIGHT]
    shot, mask, truths, blobs = write_shot(tmp_path, count, lambda time: picture, lambda time: (160, 110))
    camera = camera_path(np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)))
    _, plate, report = clean_and_compare(shot, mask, solution_of(camera, "static"), truths, blobs)
    assert report.made_up_share > 0.9
    inside = blobs[0]
    # Nothing of the actor's colour may remain, and the fill is as lively as its surroundings.
    assert (np.abs(plate[3][inside].astype(int) - [200, 40, 60]).max(-1) < 20).mean() < 0.02
    assert plate[3][inside].std() > 0.4 * plate[3][~inside].std()
    assert np.abs(plate[3].astype(int) - plate[9]).mean() < 0.5


def parallax_camera(count: int) -> UnscaledCameraPath:
    share = np.linspace(-1, 1, count)
    return camera_path(np.tile(np.eye(3), (count, 1, 1)), np.stack([0.3 * share, 0 * share, 0 * share], -1))


@pytest.mark.parametrize("move", ["static", "rotation", "parallax"])
def test_frames_without_the_actor_come_back_byte_for_byte(tmp_path, move):
    count, picture = 6, texture(WIDTH, 9)[:HEIGHT]
    shot, mask, truths, _ = write_shot(tmp_path, count, lambda time: picture, lambda time: (-200, -200))
    plate = list(clean_frames(shot, [mask], solution_of(parallax_camera(count), move), PlateConfig(), HoleTally()))
    assert all(np.array_equal(p.picture, np.rint(t).astype(np.uint8)) for p, t in zip(plate, truths, strict=True))
    assert not any(frame.removed.any() for frame in plate)


@pytest.mark.parametrize("move", ["static", SLOW_TURN, "parallax"])
def test_two_frames_are_enough_and_the_actor_may_walk_out(tmp_path, move):
    for count, place in ((2, 160.0), (11, 318.0)):
        folder = tmp_path / f"{move}{count}"
        folder.mkdir()
        shot, mask, _, blobs = write_shot(
            folder, count, lambda time: texture(WIDTH, 9)[:HEIGHT], lambda time, x=place: (x + 3 * time, 150)
        )
        solution = solution_of(parallax_camera(count), move)
        plate = [frame.picture for frame in clean_frames(shot, [mask], solution, PlateConfig(), HoleTally())]
        assert len(plate) == count
        inside = blobs[0]
        assert (np.abs(plate[0][inside].astype(int) - [200, 40, 60]).max(-1) < 20).mean() < 0.02


@pytest.mark.slow
def test_travelling_fill_does_not_flicker(tmp_path):
    shot, mask, truths, blobs, solution = parallax_scene(tmp_path, 25)
    _, plate, _ = clean_and_compare(shot, mask, solution, truths, blobs)
    # What changes from one frame to the next inside the hole is what changes in the set itself, and little else.
    for time in range(1, 14):
        both = blobs[time] & blobs[time - 1]
        change = (plate[time].astype(float) - plate[time - 1])[both]
        true = (truths[time] - truths[time - 1])[both]
        assert np.abs(change - true).mean() < 2.5


@pytest.mark.slow
def test_sources_are_the_same_sought_or_read(tmp_path, monkeypatch):
    shot, mask, _, _, solution = parallax_scene(tmp_path, 12)
    read = list(clean_frames(shot, [mask], solution, PlateConfig(), HoleTally()))
    monkeypatch.setattr(video, "_NEAR_IN_A_SHOT", 0)
    monkeypatch.setattr(video, "_NEAR_IN_OURS", 0)
    sought = list(clean_frames(shot, [mask], solution, PlateConfig(), HoleTally()))
    assert all(np.array_equal(a.picture, b.picture) for a, b in zip(read, sought, strict=True))


def test_other_people_stay_and_do_not_smear(tmp_path):
    count, picture = 30, texture(WIDTH, 11)[:HEIGHT]

    def with_other(time: int) -> np.ndarray:
        frame = picture.copy()
        cv2.rectangle(frame, (250, 60), (270, 150), (20.0, 220.0, 30.0), -1)
        return frame

    shot, mask, truths, blobs = write_shot(tmp_path, count, with_other, across(count))
    with VideoWriter(tmp_path / "other.mkv", WIDTH, HEIGHT, RATE, "mask") as writer:
        for _ in range(count):
            other = np.zeros((HEIGHT, WIDTH), np.uint8)
            other[60:151, 250:271] = 255
            writer.write(other)
    camera = camera_path(np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)))
    solution = solution_of(camera, "static")
    masks = [mask, tmp_path / "other.mkv"]
    plate = [frame.picture for frame in clean_frames(shot, masks, solution, PlateConfig(), HoleTally())]
    person = np.zeros((HEIGHT, WIDTH), bool)
    person[62:149, 252:269] = True
    for time in (3, 15, 25):
        assert decibels(plate[time], truths[time], person & ~blobs[time]) > 40
        # Behind the actor the other stays too: nobody saw the set there.
        assert decibels(plate[time], truths[time], blobs[time]) > 30


def test_an_actor_who_hides_everything_is_refused_with_a_reason(tmp_path):
    count, picture = 3, texture(WIDTH, 9)[:HEIGHT]
    shot, _, _, _ = write_shot(tmp_path, count, lambda time: picture, across(count))
    with VideoWriter(tmp_path / "all.mkv", WIDTH, HEIGHT, RATE, "mask") as writer:
        for _ in range(count):
            writer.write(np.full((HEIGHT, WIDTH), 255, np.uint8))
    for move in ("static", "parallax"):
        solution = solution_of(parallax_camera(count), move)
        with pytest.raises(FootageError, match="hides the whole picture"):
            list(clean_frames(shot, [tmp_path / "all.mkv"], solution, PlateConfig(), HoleTally()))


def test_no_mask_is_refused(tmp_path):
    count, picture = 4, texture(WIDTH, 9)[:HEIGHT]
    shot, _, _, _ = write_shot(tmp_path, count, lambda time: picture, across(count))
    camera = camera_path(np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)))
    with pytest.raises(FootageError, match="mask"):
        make_clean_plate(shot, [], solution_of(camera, "static"), tmp_path / "plate.mkv", tmp_path / "gone.mkv")
    assert not (tmp_path / "plate.mkv").exists() and not (tmp_path / "gone.mkv").exists()


def test_plate_is_a_video_with_a_frame_for_each_frame(tmp_path):
    count, picture = 12, cv2.GaussianBlur(texture(WIDTH, 1)[:HEIGHT], (0, 0), 3)
    shot, mask, truths, _ = write_shot(tmp_path, count, lambda time: picture, across(count))
    camera = camera_path(np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)))
    steps = []
    make_clean_plate(
        shot,
        [mask],
        solution_of(camera, "static"),
        tmp_path / "plate.mkv",
        tmp_path / "removed.mkv",
        progress=lambda done, total: steps.append(done / total),
    )
    plate = list(read_video(tmp_path / "plate.mkv"))
    assert len(plate) == count
    assert all(np.abs(p - t).mean() < 3 for p, t in zip(plate, truths, strict=True))
    assert steps[-1] == 1.0 and np.all(np.diff(steps) >= 0)


@pytest.mark.parametrize("move", ["static", SLOW_TURN, "parallax"])
def test_removed_tells_which_pixels_are_the_source_s_own(tmp_path, move):
    count, picture = 6, texture(WIDTH, 9)[:HEIGHT]
    shot, mask, _, blobs = write_shot(tmp_path, count, lambda time: picture, across(count), noise=3.0, shadow=True)
    solution = solution_of(parallax_camera(count), move)
    plate = list(clean_frames(shot, [mask], solution, PlateConfig(), HoleTally()))
    make_clean_plate(shot, [mask], solution, tmp_path / "plate.mkv", tmp_path / "removed.mkv")
    written = list(read_video(tmp_path / "removed.mkv"))
    for frame, source, removed, blob in zip(plate, video.read_frames(shot), written, blobs, strict=True):
        assert np.array_equal(frame.removed, removed)
        assert np.array_equal(frame.picture[removed == 0], source[removed == 0])
        surely = cv2.erode(blob.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        assert (removed[surely] == 255).all() and 0.5 < (removed == 0).mean() < 0.97
        assert ((removed > 0) & (removed < 255)).any()


def test_a_leap_between_two_looks_never_reaches_unpainted_mosaic(tmp_path, monkeypatch):
    count, picture = 12, np.clip(texture(WIDTH, 9)[:HEIGHT] * 0.5 + 120, 0, 255)
    place = lambda time: (290, 60) if time == 5 else (40 + 2 * time, 120)  # noqa: E731
    monkeypatch.setattr("understudy.decompose.plate.clean_plate._CANDIDATES", 3)
    shot, mask, _, blobs = write_shot(tmp_path, count, lambda time: picture, place)
    solution = solution_of(parallax_camera(count), "static")
    plate = [frame.picture for frame in clean_frames(shot, [mask], solution, PlateConfig(), HoleTally())]
    assert plate[5][blobs[5]].min() > 60


@pytest.mark.parametrize("move", ["static", SLOW_TURN, "parallax"])
def test_the_plate_is_the_same_with_one_worker_and_with_three(tmp_path, monkeypatch, move):
    # Small parts, so that there is work for all of them.
    monkeypatch.setattr("understudy.decompose.plate.votes._BAND", 300)
    monkeypatch.setattr("understudy.imaging.inpaint._CHUNK", 100)
    count, picture = 10, texture(WIDTH, 9)[:HEIGHT]
    shot, mask, _, _ = write_shot(tmp_path, count, lambda time: picture, lambda time: (150 + 4 * time, 110), noise=2.0)
    solution, plates, figures = solution_of(parallax_camera(count), move), [], []
    for workers in (1, 3):
        tally = HoleTally()
        with limit_workers(workers):
            frames = list(clean_frames(shot, [mask], solution, PlateConfig(), tally))
        plates.append([(frame.picture.tobytes(), frame.removed.tobytes()) for frame in frames])
        figures.append(tally.report(move))
    assert plates[0] == plates[1] and figures[0] == figures[1]
    assert len(plates[0]) == count


@pytest.mark.parametrize("move", ["static", "parallax"])
def test_large_pictures_are_read_twice_and_give_the_same_plate(tmp_path, monkeypatch, move):
    count, picture = 5, texture(WIDTH, 9)[:HEIGHT]
    shot, mask, _, _ = write_shot(tmp_path, count, lambda time: picture, across(count))
    solution = solution_of(parallax_camera(count), move)
    kept = [frame.picture for frame in clean_frames(shot, [mask], solution, PlateConfig(), HoleTally())]
    monkeypatch.setattr("understudy.decompose.plate.holes._MAX_KEPT_BYTES", 0)
    read = [frame.picture for frame in clean_frames(shot, [mask], solution, PlateConfig(), HoleTally())]
    assert all(np.array_equal(a, b) for a, b in zip(kept, read, strict=True))
