"""Between pixels, camera points and depth. The centre of the first pixel is (0.5, 0.5)."""

import numpy as np
from jaxtyping import Float

__all__ = ["intrinsics", "project", "unproject"]


def intrinsics(focal_px: float, width: int, height: int) -> Float[np.ndarray, "3 3"]:
    """K of a camera with square pixels and its axis through the picture's centre."""
    return np.array([[focal_px, 0.0, width / 2], [0.0, focal_px, height / 2], [0.0, 0.0, 1.0]])


def project(
    K: Float[np.ndarray, "*#batch 3 3"], points_camera: Float[np.ndarray, "*#batch n 3"]
) -> Float[np.ndarray, "*#batch n 2"]:
    """Camera points in pixels; points at or behind the camera give values without meaning (check z > 0).

    Source: Hartley and Zisserman, Multiple View Geometry, section 6.1.
    """
    image = points_camera @ np.swapaxes(K, -1, -2)
    z = image[..., 2:]
    return image[..., :2] / np.where(np.abs(z) < 1e-9, 1e-9, z)


def unproject(
    K: Float[np.ndarray, "*#batch 3 3"],
    points_px: Float[np.ndarray, "*#batch n 2"],
    depth_m: Float[np.ndarray, "*#batch n"],
) -> Float[np.ndarray, "*#batch n 3"]:
    """Pixels at a depth along +Z, as camera points."""
    ones = np.ones((*points_px.shape[:-1], 1))
    rays = np.concatenate([points_px, ones], -1) @ np.swapaxes(np.linalg.inv(K), -1, -2)
    return rays * depth_m[..., None]
