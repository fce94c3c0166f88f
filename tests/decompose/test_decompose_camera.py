"""The camera's branch and path on shots of a textured room whose cameras are known."""

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from textured_set import BOXES, ROOM, camera_path, film, shoot

from understudy.core.footage import CameraSolution
from understudy.decompose.camera import frames as camera_frames
from understudy.decompose.camera.bundle_adjustment import Bundle
from understudy.decompose.camera.frames import fit_of
from understudy.decompose.camera.solve import CameraConfig, solve_camera, solve_tracks
from understudy.decompose.camera.tracks import PointTracks, TrackingConfig, follow_points
from understudy.geometry.projection import project
from understudy.geometry.rigid import similarity, transform
from understudy.io.video.streams import VideoWriter, open_shot
from understudy.metrics.camera import relative_trajectory_error, rotation_error_deg
from understudy.runtime.parallel import limit_workers

WIDTH, HEIGHT, FRAMES = 360, 202, 30
FOCAL_PX = 380.0
TRACKING = TrackingConfig(points=250)


@cache
def filmed(move: str, masked: bool = True) -> tuple[PointTracks, np.ndarray]:
    pictures, masks, truth = shoot(move, FRAMES, FOCAL_PX, WIDTH, HEIGHT)
    return follow_points(pictures, masks if masked else None, FRAMES, TRACKING), truth


@cache
def solved(move: str) -> CameraSolution:
    return solve_tracks(filmed(move)[0], Fraction(24))


@pytest.mark.parametrize(
    ("move", "kind"),
    [
        ("static", "static"),
        ("pan", "rotation"),
        ("tilt", "rotation"),
        ("handheld_rotation", "rotation"),
        ("push_in", "parallax"),
        ("truck", "parallax"),
        ("arc", "parallax"),
        ("handheld", "parallax"),
    ],
)
def test_each_move_is_told_apart_and_followed(move: str, kind: str) -> None:
    solution, truth = solved(move), filmed(move)[1]
    assert solution.move == kind
    assert solution.notes == ()
    assert len(solution.camera) == FRAMES
    assert rotation_error_deg(solution.camera.T_world_camera, truth).mean() < 0.15
    np.testing.assert_allclose(solution.camera.T_world_camera[0], np.eye(4), atol=1e-9)
    if kind == "parallax":
        assert relative_trajectory_error(solution.camera.T_world_camera, truth) < 0.01
        assert len(solution.points) > 50
        assert_points_lie_on_the_set(solution, camera_path(move, FRAMES), shows_lens=move in ("arc", "handheld"))
    else:
        assert np.all(solution.camera.position == 0.0)
        assert len(solution.points) == len(solution.sightings) == 0
    assert np.median(solution.residual_px) < 0.4


def assert_points_lie_on_the_set(solution: CameraSolution, truth: np.ndarray, shows_lens: bool) -> None:
    """Each point was seen in several frames, within a pixel of where the camera puts it; most lie on walls."""
    seen = solution.sightings
    assert np.bincount(seen.point, minlength=len(solution.points)).min() >= 2
    T, K = solution.camera.T_camera_world[seen.frame], solution.camera.K[seen.frame]
    local = np.einsum("nij,nj->ni", T[:, :3, :3], solution.points[seen.point]) + T[:, :3, 3]
    off_px = np.linalg.norm(project(K, local[:, None])[:, 0] - seen.xy_px, axis=1)
    assert np.percentile(off_px, 95) < 1.0 and off_px.max() < 2.0
    if not shows_lens:
        return
    scale, _, _ = similarity(solution.camera.position, truth[:, :3, 3])
    first_m = transform(truth[0] @ np.diag([scale, scale, scale, 1.0]), solution.points)
    off_m = np.min([surface_distance(first_m, *box) for box in (ROOM, *BOXES)], axis=0)
    assert np.median(off_m / np.linalg.norm(first_m - truth[0, :3, 3], axis=1)) < 0.03


def test_very_long_shots_keep_the_sightings_of_some_frames(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    points, frames = rng.uniform(-1, 1, (40, 3)) + [0, 0, 4], 12
    point, frame = (grid.ravel() for grid in np.mgrid[:40, :frames])
    centre = np.stack([0.1 * np.arange(frames), np.zeros(frames), np.zeros(frames)], 1)
    local = points[point] - centre[frame]
    xy_px = 300 * local[:, :2] / local[:, 2:] + [160, 90]
    homogeneous = np.concatenate([points, np.ones((40, 1))], 1)
    homogeneous /= np.linalg.norm(homogeneous, axis=1, keepdims=True)
    R, focal = np.tile(np.eye(3), (frames, 1, 1)), np.full(frames, 300.0)
    bundle = Bundle(R, -centre, focal, np.array([160.0, 90.0]), homogeneous, frame, point, xy_px)
    whole = fit_of(bundle, 1.0, True)
    assert len(whole.points) == 40 and len(whole.sightings) == 40 * frames
    monkeypatch.setattr(camera_frames, "_MAX_SIGHTINGS", 200)
    some = fit_of(bundle, 1.0, True)
    assert set(some.sightings.frame) == {0, 3, 6, 9} and len(some.sightings) == 160 and len(some.points) == 40


def surface_distance(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """How far points are from the surface of a box, inside or outside."""
    outside = np.linalg.norm(np.maximum(np.maximum(low - points, points - high), 0), axis=1)
    inside = np.minimum(points - low, high - points).min(1)
    return np.where(outside > 0, outside, inside)


@pytest.mark.parametrize("move", ["pan", "tilt", "handheld_rotation", "arc", "handheld"])
def test_moves_that_turn_show_the_focal_length(move: str) -> None:
    assert solved(move).camera.K[:, 0, 0] == pytest.approx(FOCAL_PX, rel=0.03)


@pytest.mark.parametrize("move", ["push_in", "truck"])
def test_straight_moves_keep_the_expected_focal_length(move: str) -> None:
    # Nothing in the picture says what lens it is: pulling the depths along, every focal length fits.
    expected = 0.5 * WIDTH / np.tan(0.5 * CameraConfig().field_of_view)
    assert solved(move).camera.K[0, 0, 0] == pytest.approx(expected, rel=0.05)


def test_the_same_shot_gives_the_same_camera() -> None:
    again = solve_tracks(filmed("handheld")[0], Fraction(24))
    np.testing.assert_array_equal(again.camera.T_world_camera, solved("handheld").camera.T_world_camera)


@pytest.mark.parametrize("workers", [2, 5])
def test_points_are_followed_alike_whatever_the_number_of_workers(workers: int) -> None:
    rng = np.random.default_rng(0)
    wide = np.repeat(np.repeat(rng.integers(0, 255, (20, 40)), 8, 0), 8, 1).astype(np.uint8)
    pictures = [np.stack([wide[:, 3 * t : 3 * t + 240]] * 3, -1) for t in range(6)]
    masks = [np.pad(np.full((60, 40), 255, np.uint8), ((50, 50), (20 + t, 180 - t))) for t in range(6)]
    found = []
    for count in (1, workers):
        with limit_workers(count):
            found.append(follow_points(pictures, masks, 6))
    assert found[0].count > 20
    for name in ("frame", "track", "xy_px"):
        assert np.array_equal(getattr(found[0], name), getattr(found[1], name)), name


def test_no_point_is_followed_under_a_mask() -> None:
    pictures, masks, _ = shoot("pan", 12, FOCAL_PX, WIDTH, HEIGHT)
    tracks = follow_points(pictures, masks, 12, TRACKING)
    x, y = np.floor(tracks.xy_px).astype(int).T
    assert len(tracks) > 12 * 120
    assert not np.array(masks)[tracks.frame, y, x].any()


def test_a_moving_person_without_a_mask_does_not_carry_the_camera_along() -> None:
    tracks, truth = filmed("pan", masked=False)
    solution = solve_tracks(tracks, Fraction(24), CameraConfig(move="rotation"))
    assert rotation_error_deg(solution.camera.T_world_camera, truth).mean() < 0.15


def test_a_blank_wall_is_taken_to_stand_and_says_so() -> None:
    random = np.random.default_rng(0)
    pictures = [np.clip(128 + random.normal(size=(180, 320, 3)), 0, 255).astype(np.uint8) for _ in range(8)]
    solution = solve_tracks(follow_points(pictures, None, 8), Fraction(24))
    assert solution.move == "static"
    assert "too few points" in solution.notes[0]
    np.testing.assert_array_equal(solution.camera.T_world_camera, np.tile(np.eye(4), (8, 1, 1)))


def test_a_known_move_and_lens_are_held() -> None:
    config = CameraConfig(move="rotation", focal_px=500.0)
    solution = solve_tracks(filmed("push_in")[0], Fraction(24), config)
    assert solution.move == "rotation"
    assert np.all(solution.camera.K[:, 0, 0] == 500.0)
    assert np.median(solution.residual_px) > 1.0, "a turning camera cannot follow a push-in"


def test_a_zoom_is_neither_a_turn_nor_a_push_in() -> None:
    focal = FOCAL_PX * np.linspace(1.0, 1.5, FRAMES)
    T = camera_path("pan", FRAMES)
    pictures = [np.repeat(film(T[i], focal[i], WIDTH, HEIGHT)[..., None], 3, 2) for i in range(FRAMES)]
    solution = solve_tracks(follow_points(pictures, None, FRAMES, TRACKING), Fraction(24))
    assert solution.move == "rotation"
    np.testing.assert_allclose(solution.camera.K[:, 0, 0], focal, rtol=0.06)
    assert "zooms" in solution.notes[0]


def test_a_shot_without_masks_is_solved_too(tmp_path) -> None:
    pictures, _, _ = shoot("static", 4, FOCAL_PX, WIDTH, HEIGHT)
    with VideoWriter(tmp_path / "shot.mkv", WIDTH, HEIGHT, Fraction(24), "lossless") as writer:
        for picture in pictures:
            writer.write(picture)
    assert solve_camera(open_shot(tmp_path / "shot.mkv"), [], CameraConfig(tracking=TRACKING)).move == "static"
