"""Depth as the plate uses it: where a pixel of one frame lies in another.

Inverse depth (1 / metre in the solution's unit) is used throughout: it is what parallax measures, and 0 is infinity.
"""

import cv2
import numpy as np
from jaxtyping import Float

from understudy.core.camera import UnscaledCameraPath
from understudy.decompose.plate.blend import Box

__all__ = ["carry_inverse_depth", "look_into", "pixels_of", "relative_view", "small_box", "small_part"]


def small_box(box: Box, scale: int) -> tuple[int, int]:
    """Rows and columns of a box at 1/scale."""
    return -(-box.shape[0] // scale), -(-box.shape[1] // scale)


def small_part(box: Box, scale: int) -> tuple[slice, slice]:
    """Where a box, whose left and top lie on multiples of the scale, is in a picture at 1/scale."""
    rows, columns = small_box(box, scale)
    top, left = box.top // scale, box.left // scale
    return slice(top, top + rows), slice(left, left + columns)


def pixels_of(box: Box, scale: int) -> Float[np.ndarray, "3 3"]:
    """From an index in the small box to pixels of the full picture, homogeneous."""
    half = scale / 2
    return np.array([[scale, 0.0, box.left + half], [0.0, scale, box.top + half], [0.0, 0.0, 1.0]])


def relative_view(camera: UnscaledCameraPath, target: int, source: int) -> tuple[np.ndarray, np.ndarray]:
    """A and b with: source pixel ∝ A · target pixel + b · inverse depth in the target."""
    T = np.linalg.inv(camera.T_world_camera[source]) @ camera.T_world_camera[target]
    K_source = camera.K[source]
    return K_source @ T[:3, :3] @ np.linalg.inv(camera.K[target]), K_source @ T[:3, 3]


def look_into(
    camera: UnscaledCameraPath,
    target: int,
    source: int,
    box: Box,
    scale: int,
    inverse_depth: Float[np.ndarray, "rows columns"],
) -> Float[np.ndarray, "rows columns 2"]:
    """Where each pixel of the target's small box lies in the source: full-size indices, −1e4 behind the camera."""
    A, b = relative_view(camera, target, source)
    M = (A @ pixels_of(box, scale)).astype(np.float32)
    x, y, z = (_plane(M[axis], inverse_depth, np.float32(b[axis])) for axis in range(3))
    front = z > 1e-6
    z = np.where(front, z, np.float32(1))
    at = np.dstack([x / z - np.float32(0.5), y / z - np.float32(0.5)])
    at[~front] = -1e4
    return at


def _plane(
    row: Float[np.ndarray, "3"], inverse_depth: Float[np.ndarray, "rows columns"], slope: np.float32
) -> Float[np.ndarray, "rows columns"]:
    """row · (x, y, 1) + slope · inverse depth, at each pixel."""
    rows, columns = inverse_depth.shape
    across = row[0] * np.arange(columns, dtype=np.float32) + row[2]
    down = row[1] * np.arange(rows, dtype=np.float32)
    return inverse_depth.astype(np.float32, copy=False) * slope + across + down[:, None]


def carry_inverse_depth(
    camera: UnscaledCameraPath,
    source: int,
    source_box: Box,
    source_inverse_depth: Float[np.ndarray, "rows columns"],
    target: int,
    box: Box,
    scale: int,
) -> Float[np.ndarray, "small_rows small_columns"]:
    """The depth in one frame's small box as another frame sees it, in that one's; exact where the depth is smooth."""
    A, b = relative_view(camera, source, target)
    depth = source_inverse_depth.astype(np.float32)
    result = np.full(small_box(box, scale), float(np.median(depth)), np.float32)
    to_index = np.array([source_box.left + scale / 2 - 0.5, source_box.top + scale / 2 - 0.5], np.float32)
    towards = A[2].astype(np.float32)
    for _ in range(3):
        at = look_into(camera, target, source, box, scale, result)
        place = (at - to_index) / np.float32(scale)
        there = cv2.remap(depth, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        z = (at[..., 0] + 0.5) * towards[0] + (at[..., 1] + 0.5) * towards[1] + towards[2] + there * np.float32(b[2])
        result = there / np.maximum(z, np.float32(1e-3))
    return result
