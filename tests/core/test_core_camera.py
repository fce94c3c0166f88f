"""A camera's path in metres and one of unknown scale are two kinds of value."""

from fractions import Fraction

import numpy as np
import pytest

from understudy.core.camera import CameraPath, UnscaledCameraPath
from understudy.core.footage import CameraSolution


def path() -> CameraPath:
    T = np.tile(np.eye(4), (3, 1, 1))
    T[:, :3, 3] = [[0, 0, 0], [1, 0, 2], [2, 1, 3]]
    return CameraPath(T, np.tile(np.diag([500.0, 500.0, 1.0]), (3, 1, 1)), 640, 360, Fraction(24))


def test_scale_is_lost_and_found():
    camera = path()
    unscaled = UnscaledCameraPath.of(camera, units_per_metre=0.4)
    np.testing.assert_allclose(unscaled.position, 0.4 * camera.position)
    again = unscaled.in_metres(2.5)
    assert isinstance(again, CameraPath)
    np.testing.assert_allclose(again.T_world_camera, camera.T_world_camera)
    assert np.array_equal(camera.position, path().position), "the path itself is not changed"


def test_one_is_not_taken_for_the_other():
    camera = path()
    assert not isinstance(UnscaledCameraPath.of(camera), CameraPath)
    with pytest.raises(TypeError):
        CameraSolution(camera, "static", np.zeros((0, 3)), np.zeros(3))
