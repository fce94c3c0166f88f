"""The camera's branch and path on shots of a textured room whose cameras are known."""

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from textured_set import shoot

from understudy.core.footage import CameraSolution
from understudy.decompose.camera import CameraConfig, solve_tracks
from understudy.decompose.tracks import PointTracks, TrackingConfig, follow_points
from understudy.metrics.camera import relative_trajectory_error, rotation_error_deg

WIDTH, HEIGHT, FRAMES = 400, 224, 36
FOCAL_PX = 420.0
TRACKING = TrackingConfig(points=300)


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
        ("push", "parallax"),
        ("track", "parallax"),
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
    else:
        assert np.all(solution.camera.position == 0.0)
        assert len(solution.points) == 0
    assert np.median(solution.residual_px) < 0.4


@pytest.mark.parametrize("move", ["pan", "tilt", "handheld_rotation", "arc", "handheld"])
def test_moves_that_turn_show_the_focal_length(move: str) -> None:
    assert solved(move).camera.K[:, 0, 0] == pytest.approx(FOCAL_PX, rel=0.03)


@pytest.mark.parametrize("move", ["push", "track"])
def test_straight_moves_keep_the_expected_focal_length(move: str) -> None:
    # Nothing in the picture says what lens it is: pulling the depths along, every focal length fits.
    expected = 0.5 * WIDTH / np.tan(0.5 * CameraConfig().field_of_view)
    assert solved(move).camera.K[0, 0, 0] == pytest.approx(expected, rel=0.05)
