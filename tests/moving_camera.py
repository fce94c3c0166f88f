"""A camera for tests of what is written about cameras."""

from fractions import Fraction

import numpy as np

from understudy.core.camera import CameraPath
from understudy.geometry.rotations import look_at

__all__ = ["moving_camera"]


def moving_camera() -> CameraPath:
    """A moving, rolling, zooming camera with its axis off the centre: nine frames."""
    a = np.linspace(0, 2, 9)
    eye = np.stack([3 * np.sin(a), 1.5 + a, 5 * np.cos(a)], -1)
    K = np.tile(np.diag([1000.0, 1010.0, 1.0]), (9, 1, 1))
    K[:, 0, 0] += 20 * np.arange(9)
    K[:, :2, 2] = (600, 380)
    return CameraPath(look_at(eye, np.tile([0.0, 1.0, 0.0], (9, 1)), 0.3), K, 1280, 720, Fraction(30000, 1001))
