"""Perspective views of an equirectangular panorama.

Columns go by yaw: the panorama's +Z (straight ahead) is in the middle, its +X (right) to the right of that. Rows go by
elevation: the top row looks up.
"""

import math

import numpy as np
from jaxtyping import Float, Num

from understudy.geometry.projection import intrinsics

__all__ = ["cube_rotations", "level_views", "panorama_from_cube", "perspective_view"]


def perspective_view(
    panorama: Num[np.ndarray, "rows columns channel"],
    R_panorama_camera: Float[np.ndarray, "3 3"],
    K: Float[np.ndarray, "3 3"],
    width: int,
    height: int,
) -> Float[np.ndarray, "height width channel"]:
    """What a pinhole camera (OpenCV axes) would see, in the panorama's own values, bilinear and without aliasing."""
    rows, columns = panorama.shape[:2]
    # As many samples per pixel as the panorama has pixels there.
    finer = max(1, math.ceil(columns / (2 * math.pi) / max(K[0, 0], K[1, 1])))
    x, y = (np.arange(size * finer) / finer + 0.5 / finer for size in (width, height))
    pixels = np.stack([*np.meshgrid(x, y), np.ones((len(y), len(x)))], -1)
    ray = pixels @ np.linalg.inv(K).T @ R_panorama_camera.T
    yaw = np.arctan2(ray[..., 0], ray[..., 2])
    up = np.arctan2(-ray[..., 1], np.hypot(ray[..., 0], ray[..., 2]))
    column = (yaw / (2 * math.pi) + 0.5) * columns - 0.5
    row = np.clip((0.5 - up / math.pi) * rows - 0.5, 0, rows - 1)
    left, top = np.floor(column).astype(int), np.floor(row).astype(int)
    across, down = (column - left)[..., None], (row - top)[..., None]
    # The last column's neighbour is the first.
    left, right, bottom = left % columns, (left + 1) % columns, np.minimum(top + 1, rows - 1)
    upper = (1 - across) * panorama[top, left] + across * panorama[top, right]
    lower = (1 - across) * panorama[bottom, left] + across * panorama[bottom, right]
    seen = (1 - down) * upper + down * lower
    return seen.reshape(height, finer, width, finer, -1).mean((1, 3))


def level_views(
    panorama: Num[np.ndarray, "rows columns channel"], count: int, size: int, field_rad: float = math.pi / 2
) -> tuple[Float[np.ndarray, "count size size channel"], Float[np.ndarray, "count 4 4"], Float[np.ndarray, "3 3"]]:
    """Square views along the horizon at equal angles, each turned further to the right; the first looks straight ahead.

    Gives the views, `T_panorama_camera` of each (without translation), and K. Source: CineScene, 20 views of 90°.
    """
    K = intrinsics(0.5 * size / math.tan(0.5 * field_rad), size, size)
    T = np.tile(np.eye(4), (count, 1, 1))
    turn = 2 * math.pi * np.arange(count) / count
    T[:, 0, 0] = T[:, 2, 2] = np.cos(turn)
    T[:, 0, 2], T[:, 2, 0] = np.sin(turn), -np.sin(turn)
    return np.stack([perspective_view(panorama, R, K, size, size) for R in T[:, :3, :3]]), T, K


def cube_rotations() -> Float[np.ndarray, "6 3 3"]:
    """`R_panorama_camera` of the six square 90° views that `panorama_from_cube` takes: level at 0, 90, 180, 270° to the
    right, then up, then down.
    """
    level = [
        np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) for c, s in ((1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0))
    ]
    up = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    return np.stack([*level, up, up.T])


def panorama_from_cube(
    faces: Num[np.ndarray, "6 size size channel"], columns: int
) -> Num[np.ndarray, "rows columns channel"]:
    """An equirectangular panorama, twice as wide as high, of six views that meet without gaps; nearest pixels."""
    rows, size = columns // 2, faces.shape[1]
    yaw = ((np.arange(columns) + 0.5) / columns - 0.5) * 2 * math.pi
    up = (0.5 - (np.arange(rows) + 0.5) / rows)[:, None] * math.pi
    ray = np.stack([np.cos(up) * np.sin(yaw), -np.sin(up) + 0 * yaw, np.cos(up) * np.cos(yaw)], -1)
    turned = np.einsum("fji,rcj->frci", cube_rotations(), ray)  # In each view's own axes.
    face = turned[..., 2].argmax(0)
    own = np.take_along_axis(turned, face[None, ..., None], 0)[0]
    column, row = ((own[..., i] / own[..., 2] + 1) * 0.5 * size for i in range(2))
    return faces[face, np.clip(row.astype(int), 0, size - 1), np.clip(column.astype(int), 0, size - 1)]
